CREATE TABLE "turbomode"."holdout_openings" (
	"universe" text NOT NULL,
	"quarter" text NOT NULL,
	"first_session" date NOT NULL,
	"last_session" date NOT NULL,
	"sessions" integer NOT NULL,
	"calendar_sessions" integer NOT NULL,
	"predictions" integer NOT NULL,
	"without_outcome" integer NOT NULL,
	"ic" double precision,
	"ic_lower" double precision,
	"ic_upper" double precision,
	"ic_sessions" integer NOT NULL,
	"log_loss" double precision,
	"base_rate_log_loss" double precision,
	"log_loss_gain" double precision,
	"log_loss_gain_lower" double precision,
	"log_loss_gain_upper" double precision,
	"verdict" text NOT NULL,
	"words" text NOT NULL,
	"details" jsonb NOT NULL,
	"trials" integer NOT NULL,
	"opened_session" date NOT NULL,
	"task_run_id" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "holdout_openings_universe_quarter_pk" PRIMARY KEY("universe","quarter"),
	CONSTRAINT "holdout_openings_quarter" CHECK ("turbomode"."holdout_openings"."quarter" ~ '^[0-9]{4}-Q[1-4]$'),
	CONSTRAINT "holdout_openings_verdict" CHECK ("turbomode"."holdout_openings"."verdict" in ('edge', 'no_edge'))
);
--> statement-breakpoint
ALTER TABLE "turbomode"."drift_log" ADD COLUMN "known_at" timestamp with time zone;--> statement-breakpoint
-- Looked at once: what it said stays said, whoever asks.
CREATE TRIGGER holdout_openings_append_only BEFORE UPDATE OR DELETE ON "turbomode"."holdout_openings"
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
--> statement-breakpoint
CREATE TRIGGER holdout_openings_no_truncate BEFORE TRUNCATE ON "turbomode"."holdout_openings"
	FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
