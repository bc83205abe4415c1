ALTER TABLE "turbomode"."matured_predictions" ADD COLUMN "outcome_version" smallint DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "turbomode"."matured_predictions" DROP CONSTRAINT "matured_predictions_session_date_universe_universe_version_model_version_revision_symbol_pk";--> statement-breakpoint
ALTER TABLE "turbomode"."matured_predictions" ADD CONSTRAINT "matured_predictions_session_date_universe_universe_version_model_version_revision_symbol_outcome_version_pk" PRIMARY KEY("session_date","universe","universe_version","model_version","revision","symbol","outcome_version");--> statement-breakpoint
ALTER TABLE "market"."session_overrides" ADD COLUMN "removed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "market"."session_overrides" ADD COLUMN "removed_by" text;--> statement-breakpoint
ALTER TABLE "market"."session_overrides" ADD COLUMN "remove_reason" text;--> statement-breakpoint
ALTER TABLE "turbomode"."datasets" ADD COLUMN "invalid_reason" text;--> statement-breakpoint
ALTER TABLE "turbomode"."session_features" ADD COLUMN "invalid_reason" text;--> statement-breakpoint
ALTER TABLE "turbomode"."backtest_runs" ADD COLUMN "invalid_reason" text;--> statement-breakpoint
ALTER TABLE "turbomode"."drift_log" ADD COLUMN "invalid_reason" text;--> statement-breakpoint
ALTER TABLE "turbomode"."matured_predictions" ADD COLUMN "invalid_from" date;--> statement-breakpoint
ALTER TABLE "turbomode"."matured_predictions" ADD COLUMN "invalid_reason" text;--> statement-breakpoint
CREATE INDEX "matured_predictions_exit" ON "turbomode"."matured_predictions" USING btree ("exit_session");--> statement-breakpoint
ALTER TABLE "turbomode"."matured_predictions" ADD CONSTRAINT "matured_predictions_invalid" CHECK (("turbomode"."matured_predictions"."invalid_from" is null) = ("turbomode"."matured_predictions"."invalid_reason" is null));