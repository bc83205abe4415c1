CREATE TABLE "ops"."api_token_revocations" (
	"token_id" text PRIMARY KEY NOT NULL,
	"revoked_by" text NOT NULL,
	"why" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ops"."api_tokens" (
	"token_id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"secret_hash" text COLLATE "C" NOT NULL,
	"created_by" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "api_tokens_role" CHECK ("ops"."api_tokens"."role" in ('viewer', 'operator', 'admin'))
);
--> statement-breakpoint
CREATE INDEX "task_runs_last" ON "ops"."task_runs" USING btree ("task","started_at");