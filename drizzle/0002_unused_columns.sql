DROP TABLE "turbomode"."training_runs" CASCADE;--> statement-breakpoint
ALTER TABLE "ops"."nights" DROP COLUMN "report";