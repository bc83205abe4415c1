CREATE TABLE "ops"."alert_deliveries" (
	"delivery_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "ops"."alert_deliveries_delivery_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"alert_id" bigint NOT NULL,
	"channel" text NOT NULL,
	"kind" text NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_error" text,
	"sent_at" timestamp with time zone,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "alert_deliveries_kind" CHECK ("ops"."alert_deliveries"."kind" in ('opened', 'resolved')),
	CONSTRAINT "alert_deliveries_state" CHECK ("ops"."alert_deliveries"."state" in ('pending', 'sent', 'given_up'))
);
--> statement-breakpoint
CREATE TABLE "ops"."alerts" (
	"alert_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "ops"."alerts_alert_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"rule" text NOT NULL,
	"key" text NOT NULL,
	"severity" text NOT NULL,
	"summary" text NOT NULL,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"opened_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"resolved_at" timestamp with time zone,
	CONSTRAINT "alerts_severity" CHECK ("ops"."alerts"."severity" in ('critical', 'warning', 'info'))
);
--> statement-breakpoint
CREATE TABLE "ops"."api_sessions" (
	"session_hash" text COLLATE "C" PRIMARY KEY NOT NULL,
	"token_id" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "ops"."alert_deliveries" ADD CONSTRAINT "alert_deliveries_alert_id_alerts_alert_id_fk" FOREIGN KEY ("alert_id") REFERENCES "ops"."alerts"("alert_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ops"."api_sessions" ADD CONSTRAINT "api_sessions_token_id_api_tokens_token_id_fk" FOREIGN KEY ("token_id") REFERENCES "ops"."api_tokens"("token_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "alert_deliveries_once" ON "ops"."alert_deliveries" USING btree ("alert_id","channel","kind");--> statement-breakpoint
CREATE INDEX "alert_deliveries_due" ON "ops"."alert_deliveries" USING btree ("next_attempt_at") WHERE "ops"."alert_deliveries"."state" = 'pending';--> statement-breakpoint
CREATE UNIQUE INDEX "alerts_one_open" ON "ops"."alerts" USING btree ("key") WHERE "ops"."alerts"."resolved_at" is null;--> statement-breakpoint
CREATE INDEX "alerts_newest" ON "ops"."alerts" USING btree ("opened_at");