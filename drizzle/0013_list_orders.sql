CREATE INDEX "audit_subject" ON "ops"."audit" USING btree ("subject","audit_id");--> statement-breakpoint
CREATE INDEX "nights_newest" ON "ops"."nights" USING btree ("started_at","run_id");--> statement-breakpoint
CREATE INDEX "nights_run" ON "ops"."nights" USING btree ("run_id");--> statement-breakpoint
CREATE INDEX "task_runs_newest" ON "ops"."task_runs" USING btree ("created_at","task_run_id");--> statement-breakpoint
CREATE INDEX "task_runs_manual" ON "ops"."task_runs" USING btree ("created_at") WHERE "ops"."task_runs"."night_run_id" is null;