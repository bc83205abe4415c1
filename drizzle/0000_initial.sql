CREATE SCHEMA "market";
--> statement-breakpoint
CREATE SCHEMA "ops";
--> statement-breakpoint
CREATE SCHEMA "turbomode";
--> statement-breakpoint
CREATE TABLE "market"."bar_flags" (
	"symbol" text COLLATE "C" NOT NULL,
	"session_date" date NOT NULL,
	"kind" text NOT NULL,
	"scope" text COLLATE "C" DEFAULT '' NOT NULL,
	"severity" text NOT NULL,
	"reason" text NOT NULL,
	"available_session" date NOT NULL,
	"resolved_session" date,
	"task_run_id" text,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "bar_flags_symbol_session_date_kind_scope_pk" PRIMARY KEY("symbol","session_date","kind","scope"),
	CONSTRAINT "bar_flags_severity" CHECK ("market"."bar_flags"."severity" in ('doubtful', 'note'))
);
--> statement-breakpoint
CREATE TABLE "market"."bar_revisions" (
	"symbol" text COLLATE "C" NOT NULL,
	"session_date" date NOT NULL,
	"revision" smallint NOT NULL,
	"open" double precision,
	"high" double precision,
	"low" double precision,
	"close" double precision,
	"volume" double precision,
	"available_at" timestamp with time zone NOT NULL,
	"source_id" integer NOT NULL,
	"state" smallint NOT NULL,
	"superseded_at" timestamp with time zone NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "bar_revisions_symbol_session_date_revision_pk" PRIMARY KEY("symbol","session_date","revision")
);
--> statement-breakpoint
CREATE TABLE "market"."bar_sources" (
	"source_id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "market"."bar_sources_source_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"provider" text NOT NULL,
	"dataset" text NOT NULL,
	"price_basis" text NOT NULL,
	"basis_date" date,
	"fetched_at" timestamp with time zone NOT NULL,
	"night_session" date,
	"task_run_id" text,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "market"."bars" (
	"symbol" text COLLATE "C" NOT NULL,
	"session_date" date NOT NULL,
	"open" double precision,
	"high" double precision,
	"low" double precision,
	"close" double precision,
	"volume" double precision,
	"available_at" timestamp with time zone NOT NULL,
	"source_id" integer NOT NULL,
	"state" smallint NOT NULL,
	"revision" smallint NOT NULL,
	CONSTRAINT "bars_symbol_session_date_pk" PRIMARY KEY("symbol","session_date"),
	CONSTRAINT "bars_state" CHECK ("market"."bars"."state" between 0 and 2)
);
--> statement-breakpoint
CREATE TABLE "market"."dividends" (
	"symbol" text COLLATE "C" NOT NULL,
	"ex_date" date NOT NULL,
	"amount" double precision NOT NULL,
	"currency" text DEFAULT 'USD' NOT NULL,
	"basis" text NOT NULL,
	"provider" text NOT NULL,
	"available_on" date NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "dividends_symbol_ex_date_pk" PRIMARY KEY("symbol","ex_date"),
	CONSTRAINT "dividends_basis" CHECK ("market"."dividends"."basis" in ('asTraded', 'adjusted'))
);
--> statement-breakpoint
CREATE TABLE "market"."fundamentals" (
	"symbol" text COLLATE "C" NOT NULL,
	"period_end" date NOT NULL,
	"kind" text NOT NULL,
	"provider" text NOT NULL,
	"available_on" date NOT NULL,
	"currency" text DEFAULT 'USD' NOT NULL,
	"metrics" jsonb NOT NULL,
	"content_hash" text COLLATE "C" NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "fundamentals_symbol_period_end_kind_provider_pk" PRIMARY KEY("symbol","period_end","kind","provider")
);
--> statement-breakpoint
CREATE TABLE "market"."gaps" (
	"symbol" text COLLATE "C" NOT NULL,
	"session_date" date NOT NULL,
	"provider" text NOT NULL,
	"task_run_id" text,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "gaps_symbol_session_date_pk" PRIMARY KEY("symbol","session_date")
);
--> statement-breakpoint
CREATE TABLE "market"."instruments" (
	"symbol" text COLLATE "C" PRIMARY KEY NOT NULL,
	"name" text,
	"sector" text,
	"industry" text,
	"exchange" text,
	"currency" text DEFAULT 'USD' NOT NULL,
	"valid_from" date,
	"valid_to" date,
	"provider" text NOT NULL,
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "market"."quarantine" (
	"symbol" text COLLATE "C" NOT NULL,
	"session_date" date NOT NULL,
	"provider" text NOT NULL,
	"price_basis" text NOT NULL,
	"codes" text[] NOT NULL,
	"reason" text NOT NULL,
	"raw" jsonb NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"decided_by" text,
	"decided_at" timestamp with time zone,
	"decision_reason" text,
	"available_at" timestamp with time zone NOT NULL,
	"task_run_id" text,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "quarantine_symbol_session_date_provider_pk" PRIMARY KEY("symbol","session_date","provider"),
	CONSTRAINT "quarantine_status" CHECK ("market"."quarantine"."status" in ('pending', 'released', 'rejected'))
);
--> statement-breakpoint
CREATE TABLE "market"."session_overrides" (
	"session_date" date PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"open_at" timestamp with time zone,
	"close_at" timestamp with time zone,
	"reason" text NOT NULL,
	"decided_by" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "session_overrides_kind" CHECK ("market"."session_overrides"."kind" in ('closed', 'early_close', 'hours')),
	CONSTRAINT "session_overrides_close" CHECK (("market"."session_overrides"."kind" = 'closed') = ("market"."session_overrides"."close_at" is null)),
	CONSTRAINT "session_overrides_open" CHECK (("market"."session_overrides"."kind" = 'hours') = ("market"."session_overrides"."open_at" is not null))
);
--> statement-breakpoint
CREATE TABLE "market"."sessions" (
	"session_date" date PRIMARY KEY NOT NULL,
	"open_at" timestamp with time zone NOT NULL,
	"close_at" timestamp with time zone NOT NULL,
	"early_close" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "market"."splits" (
	"symbol" text COLLATE "C" NOT NULL,
	"ex_date" date NOT NULL,
	"new_shares" double precision NOT NULL,
	"old_shares" double precision NOT NULL,
	"provider" text NOT NULL,
	"available_on" date NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "splits_symbol_ex_date_pk" PRIMARY KEY("symbol","ex_date")
);
--> statement-breakpoint
CREATE TABLE "market"."universes" (
	"universe" text NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"members" text[] NOT NULL,
	"as_of" date NOT NULL,
	"survivorship" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "universes_universe_version_pk" PRIMARY KEY("universe","version")
);
--> statement-breakpoint
CREATE TABLE "market"."validation_state" (
	"symbol" text COLLATE "C" NOT NULL,
	"scope" text COLLATE "C" DEFAULT '' NOT NULL,
	"revealed_through" date NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "validation_state_symbol_scope_pk" PRIMARY KEY("symbol","scope")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."datasets" (
	"dataset_hash" text COLLATE "C" PRIMARY KEY NOT NULL,
	"parquet_hash" text COLLATE "C" NOT NULL,
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"feature_set_version" text COLLATE "C" NOT NULL,
	"label_kind" text NOT NULL,
	"horizon_sessions" integer NOT NULL,
	"rows" integer NOT NULL,
	"symbols" integer NOT NULL,
	"sessions" integer NOT NULL,
	"input_hash" text COLLATE "C" NOT NULL,
	"manifest" jsonb NOT NULL,
	"coverage" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"artifact_deleted_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "turbomode"."feature_sets" (
	"feature_set_version" text COLLATE "C" PRIMARY KEY NOT NULL,
	"definitions" jsonb NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "turbomode"."fold_fits" (
	"fold_key" text COLLATE "C" NOT NULL,
	"kind" text NOT NULL,
	"model" text NOT NULL,
	"dataset_hash" text COLLATE "C" NOT NULL,
	"block_index" integer NOT NULL,
	"model_hash" text COLLATE "C" NOT NULL,
	"predictions_hash" text COLLATE "C",
	"parameters" jsonb NOT NULL,
	"seed" bigint NOT NULL,
	"threads" integer NOT NULL,
	"train_rows" integer NOT NULL,
	"test_rows" integer,
	"trees" integer,
	"fit_seconds" double precision NOT NULL,
	"cpu_seconds" double precision NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "fold_fits_dataset_hash_model_block_index_fold_key_pk" PRIMARY KEY("dataset_hash","model","block_index","fold_key")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."model_metrics" (
	"version" text NOT NULL,
	"model" text NOT NULL,
	"metric" text NOT NULL,
	"value" double precision,
	"lower" double precision,
	"upper" double precision,
	"n" integer,
	"baseline" jsonb DEFAULT '{}'::jsonb NOT NULL,
	CONSTRAINT "model_metrics_version_model_metric_pk" PRIMARY KEY("version","model","metric")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."model_promotions" (
	"promotion_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "turbomode"."model_promotions_promotion_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"universe" text NOT NULL,
	"version" text NOT NULL,
	"effective_from_session" date NOT NULL,
	"kind" text NOT NULL,
	"decided_by" text NOT NULL,
	"why" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "model_promotions_kind" CHECK ("turbomode"."model_promotions"."kind" in ('gate', 'promote', 'rollback'))
);
--> statement-breakpoint
CREATE TABLE "turbomode"."model_versions" (
	"version" text PRIMARY KEY NOT NULL,
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"feature_set_version" text COLLATE "C" NOT NULL,
	"dataset_hash" text COLLATE "C" NOT NULL,
	"code_hash" text COLLATE "C" NOT NULL,
	"lock_hash" text COLLATE "C" NOT NULL,
	"label_kind" text NOT NULL,
	"horizon_sessions" integer NOT NULL,
	"parameters" jsonb NOT NULL,
	"seed" bigint NOT NULL,
	"threads" integer NOT NULL,
	"library_versions" jsonb NOT NULL,
	"platform" text NOT NULL,
	"models" jsonb NOT NULL,
	"meta_hash" text COLLATE "C" NOT NULL,
	"oof_hash" text COLLATE "C" NOT NULL,
	"verdicts" jsonb NOT NULL,
	"gate" jsonb NOT NULL,
	"accepted" boolean NOT NULL,
	"state" text NOT NULL,
	"created_by_run" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "model_versions_state" CHECK ("turbomode"."model_versions"."state" in ('candidate', 'accepted', 'rejected'))
);
--> statement-breakpoint
CREATE TABLE "turbomode"."session_features" (
	"session_date" date NOT NULL,
	"feature_set_version" text COLLATE "C" NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"symbol" text COLLATE "C" NOT NULL,
	"dataset_hash" text COLLATE "C" NOT NULL,
	"values" real[] NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "session_features_session_date_universe_version_feature_set_version_symbol_pk" PRIMARY KEY("session_date","universe_version","feature_set_version","symbol")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."shap_runs" (
	"task_run_id" text NOT NULL,
	"version" text NOT NULL,
	"model" text NOT NULL,
	"shap_hash" text COLLATE "C" NOT NULL,
	"space" text NOT NULL,
	"additive" boolean NOT NULL,
	"additivity_max_error" double precision NOT NULL,
	"top10" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"top20" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "shap_runs_version_model_pk" PRIMARY KEY("version","model")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."training_runs" (
	"task_run_id" text PRIMARY KEY NOT NULL,
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"dataset_hash" text COLLATE "C" NOT NULL,
	"model_version" text NOT NULL,
	"folds_fitted" integer NOT NULL,
	"folds_reused" integer NOT NULL,
	"cpu_seconds" double precision NOT NULL,
	"summary" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ops"."audit" (
	"audit_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "ops"."audit_audit_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"why" text,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"role" text DEFAULT current_user NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ops"."config_applications" (
	"application_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "ops"."config_applications_application_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"name" text NOT NULL,
	"config_hash" text COLLATE "C" NOT NULL,
	"applied_by" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ops"."configs" (
	"config_hash" text COLLATE "C" PRIMARY KEY NOT NULL,
	"body" jsonb NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ops"."events" (
	"event_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "ops"."events_event_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" text NOT NULL,
	"subject" text NOT NULL,
	"session_date" date,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"task_run_id" text,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	"handled_at" timestamp with time zone,
	"handled_by" text
);
--> statement-breakpoint
CREATE TABLE "ops"."liveness" (
	"process" text NOT NULL,
	"host" text NOT NULL,
	"pid" integer NOT NULL,
	"up_since" timestamp with time zone NOT NULL,
	"beat_at" timestamp with time zone NOT NULL,
	CONSTRAINT "liveness_process_host_pid_up_since_pk" PRIMARY KEY("process","host","pid","up_since")
);
--> statement-breakpoint
CREATE TABLE "ops"."nights" (
	"workflow_id" text NOT NULL,
	"run_id" text NOT NULL,
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"trigger" text NOT NULL,
	"state" text NOT NULL,
	"reason" text,
	"requested_by" text,
	"config_hash" text COLLATE "C" NOT NULL,
	"nominal_instant" timestamp with time zone,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"completed_at" timestamp with time zone,
	"plan" jsonb,
	"report" jsonb,
	CONSTRAINT "nights_workflow_id_run_id_pk" PRIMARY KEY("workflow_id","run_id"),
	CONSTRAINT "nights_state" CHECK ("ops"."nights"."state" in ('pending', 'waiting', 'running', 'succeeded', 'failed', 'skipped', 'awaiting_review', 'cancelled', 'disabled', 'partial', 'no_session'))
);
--> statement-breakpoint
CREATE TABLE "ops"."reviews" (
	"review_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "ops"."reviews_review_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"task_run_id" text NOT NULL,
	"after_attempt" integer NOT NULL,
	"decision" text NOT NULL,
	"decided_by" text NOT NULL,
	"why" text NOT NULL,
	"decided_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "reviews_decision" CHECK ("ops"."reviews"."decision" in ('retry', 'skip', 'abort'))
);
--> statement-breakpoint
CREATE TABLE "ops"."run_requests" (
	"request_id" text PRIMARY KEY NOT NULL,
	"task" text NOT NULL,
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"force" boolean DEFAULT false NOT NULL,
	"trigger" text DEFAULT 'manual' NOT NULL,
	"config_hash" text COLLATE "C",
	"requested_by" text NOT NULL,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"taken_at" timestamp with time zone,
	"taken_by_workflow" text,
	"refused_reason" text
);
--> statement-breakpoint
CREATE TABLE "ops"."schedule_state" (
	"schedule_id" text PRIMARY KEY NOT NULL,
	"paused" boolean NOT NULL,
	"note" text,
	"first_enabled_at" timestamp with time zone,
	"spec_hash" text COLLATE "C",
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ops"."step_timings" (
	"task_run_id" text NOT NULL,
	"step" text NOT NULL,
	"seconds" double precision NOT NULL,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "step_timings_task_run_id_step_pk" PRIMARY KEY("task_run_id","step")
);
--> statement-breakpoint
CREATE TABLE "ops"."symbol_outcomes" (
	"task_run_id" text NOT NULL,
	"symbol" text COLLATE "C" NOT NULL,
	"status" text NOT NULL,
	"reason" text,
	"provider" text,
	"rows_fetched" integer DEFAULT 0 NOT NULL,
	"rows_inserted" integer DEFAULT 0 NOT NULL,
	"rows_revised" integer DEFAULT 0 NOT NULL,
	"rows_quarantined" integer DEFAULT 0 NOT NULL,
	"rows_flagged" integer DEFAULT 0 NOT NULL,
	"missing_sessions" integer DEFAULT 0 NOT NULL,
	"first_session" date,
	"last_session" date,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "symbol_outcomes_task_run_id_symbol_pk" PRIMARY KEY("task_run_id","symbol"),
	CONSTRAINT "symbol_outcomes_status" CHECK ("ops"."symbol_outcomes"."status" in ('ok', 'failed', 'no_data'))
);
--> statement-breakpoint
CREATE TABLE "ops"."task_attempts" (
	"task_run_id" text NOT NULL,
	"run_id" text NOT NULL,
	"workflow_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"fence_attempt" integer NOT NULL,
	"state" text NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"completed_at" timestamp with time zone,
	"failure" jsonb,
	CONSTRAINT "task_attempts_task_run_id_run_id_pk" PRIMARY KEY("task_run_id","run_id"),
	CONSTRAINT "task_attempts_state" CHECK ("ops"."task_attempts"."state" in ('running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'superseded'))
);
--> statement-breakpoint
CREATE TABLE "ops"."task_runs" (
	"task_run_id" text PRIMARY KEY NOT NULL,
	"night_workflow_id" text,
	"night_run_id" text,
	"task" text NOT NULL,
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"state" text NOT NULL,
	"reason" text,
	"trigger" text NOT NULL,
	"forced" boolean DEFAULT false NOT NULL,
	"requested_by" text,
	"starter_workflow_id" text NOT NULL,
	"starter_run_id" text NOT NULL,
	"current_workflow_id" text,
	"current_run_id" text,
	"fence_attempt" integer DEFAULT 0 NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"max_attempts" integer NOT NULL,
	"timeout_ms" bigint NOT NULL,
	"depends_on" text[] DEFAULT '{}' NOT NULL,
	"not_before" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"completed_at" timestamp with time zone,
	"result" jsonb,
	"failure" jsonb,
	"review_deadline" timestamp with time zone,
	"config_hash" text COLLATE "C" NOT NULL,
	CONSTRAINT "task_runs_state" CHECK ("ops"."task_runs"."state" in ('pending', 'waiting', 'running', 'succeeded', 'failed', 'skipped', 'awaiting_review', 'cancelled', 'disabled'))
);
--> statement-breakpoint
CREATE TABLE "ops"."universe_lists" (
	"universe" text NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"members" text[] NOT NULL,
	"survivorship" text NOT NULL,
	"max_sessions" integer,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "universe_lists_universe_version_pk" PRIMARY KEY("universe","version")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."backtest_metrics" (
	"backtest_id" text COLLATE "C" NOT NULL,
	"model" text NOT NULL,
	"dimension" text NOT NULL,
	"bucket" text NOT NULL,
	"metric" text NOT NULL,
	"value" double precision,
	"lower" double precision,
	"upper" double precision,
	"n" integer,
	CONSTRAINT "backtest_metrics_backtest_id_model_dimension_bucket_metric_pk" PRIMARY KEY("backtest_id","model","dimension","bucket","metric")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."backtest_runs" (
	"backtest_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"task_run_id" text NOT NULL,
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"feature_set_version" text COLLATE "C" NOT NULL,
	"dataset_hash" text COLLATE "C" NOT NULL,
	"oof_hash" text COLLATE "C" NOT NULL,
	"meta_hash" text COLLATE "C" NOT NULL,
	"survivorship" text DEFAULT 'biased' NOT NULL,
	"parameters" jsonb NOT NULL,
	"summary" jsonb NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "turbomode"."drift_anchors" (
	"anchor_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "turbomode"."drift_anchors_anchor_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"universe" text NOT NULL,
	"baseline_id" text COLLATE "C" NOT NULL,
	"effective_from_session" date NOT NULL,
	"kind" text NOT NULL,
	"decided_by" text NOT NULL,
	"why" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "turbomode"."drift_baselines" (
	"baseline_id" text COLLATE "C" NOT NULL,
	"feature" text NOT NULL,
	"kind" text NOT NULL,
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"feature_set_version" text COLLATE "C" NOT NULL,
	"first_session" date NOT NULL,
	"last_session" date NOT NULL,
	"rows" integer NOT NULL,
	"edges" double precision[] NOT NULL,
	"shares" double precision[] NOT NULL,
	"calibration" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "drift_baselines_baseline_id_feature_pk" PRIMARY KEY("baseline_id","feature")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."drift_log" (
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"feature_set_version" text COLLATE "C" NOT NULL,
	"baseline_kind" text NOT NULL,
	"feature" text NOT NULL,
	"baseline_id" text COLLATE "C",
	"baseline_rows" integer,
	"current_rows" integer,
	"windows" integer,
	"psi" double precision,
	"kl_current_given_baseline" double precision,
	"kl_baseline_given_current" double precision,
	"jensen_shannon" double precision,
	"ks_statistic" double precision,
	"ks_p_value" double precision,
	"psi_critical" double precision,
	"kl_critical" double precision,
	"ks_critical" double precision,
	"p_value" double precision,
	"q_value" double precision,
	"exceeded" boolean DEFAULT false NOT NULL,
	"alarm" boolean DEFAULT false NOT NULL,
	"status" text NOT NULL,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"task_run_id" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "drift_log_session_date_universe_universe_version_feature_set_version_baseline_kind_feature_pk" PRIMARY KEY("session_date","universe","universe_version","feature_set_version","baseline_kind","feature")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."equity_curves" (
	"backtest_id" text COLLATE "C" NOT NULL,
	"series" text NOT NULL,
	"session_date" date NOT NULL,
	"gross_return" double precision,
	"net_return" double precision,
	"equity_gross" double precision,
	"equity_net" double precision,
	"turnover" double precision,
	"exposure" double precision,
	"drawdown" double precision,
	CONSTRAINT "equity_curves_backtest_id_series_session_date_pk" PRIMARY KEY("backtest_id","series","session_date")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."matured_predictions" (
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"model_version" text NOT NULL,
	"revision" smallint NOT NULL,
	"symbol" text COLLATE "C" NOT NULL,
	"entry_session" date NOT NULL,
	"exit_session" date NOT NULL,
	"available_session" date NOT NULL,
	"entry_price" double precision,
	"exit_price" double precision,
	"forward_return" double precision,
	"excess_return" double precision,
	"target_direction" smallint,
	"target_excess" smallint,
	"missing_reason" text,
	"simulated" boolean NOT NULL,
	"task_run_id" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "matured_predictions_session_date_universe_universe_version_model_version_revision_symbol_pk" PRIMARY KEY("session_date","universe","universe_version","model_version","revision","symbol")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."predictions" (
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"model_version" text NOT NULL,
	"revision" smallint NOT NULL,
	"symbol" text COLLATE "C" NOT NULL,
	"p_lightgbm" double precision,
	"p_xgboost" double precision,
	"p_catboost" double precision,
	"p_hist_gradient_boosting" double precision,
	"p_random_forest" double precision,
	"p_extra_trees" double precision,
	"p_logistic_regression" double precision,
	"p_mlp" double precision,
	"p_mean_logit" double precision,
	"p_meta" double precision,
	"meta_logit" double precision,
	"base_rate" double precision NOT NULL,
	"dataset_hash" text COLLATE "C" NOT NULL,
	"feature_set_version" text COLLATE "C" NOT NULL,
	"label_kind" text NOT NULL,
	"horizon_sessions" integer NOT NULL,
	"simulated" boolean NOT NULL,
	"task_run_id" text NOT NULL,
	"written_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "predictions_session_date_universe_universe_version_model_version_revision_symbol_pk" PRIMARY KEY("session_date","universe","universe_version","model_version","revision","symbol")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."retraining_flags" (
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"model_version" text NOT NULL,
	"reasons" jsonb NOT NULL,
	"task_run_id" text NOT NULL,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "retraining_flags_session_date_universe_universe_version_model_version_pk" PRIMARY KEY("session_date","universe","universe_version","model_version")
);
--> statement-breakpoint
CREATE TABLE "turbomode"."signals" (
	"session_date" date NOT NULL,
	"universe" text NOT NULL,
	"universe_version" text COLLATE "C" NOT NULL,
	"model_version" text NOT NULL,
	"revision" smallint NOT NULL,
	"symbol" text COLLATE "C" NOT NULL,
	"rank" integer,
	"side" text NOT NULL,
	"probability" double precision,
	"base_rate" double precision,
	"confidence" double precision,
	"reason_code" text NOT NULL,
	"reason_words" text NOT NULL,
	"reasons" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"data_cutoff" timestamp with time zone NOT NULL,
	"feature_set_version" text COLLATE "C" NOT NULL,
	"task_run_id" text NOT NULL,
	"written_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "signals_session_date_universe_universe_version_model_version_revision_symbol_pk" PRIMARY KEY("session_date","universe","universe_version","model_version","revision","symbol"),
	CONSTRAINT "signals_side" CHECK ("turbomode"."signals"."side" in ('buy', 'sell', 'hold', 'not_scored'))
);
--> statement-breakpoint
CREATE INDEX "datasets_input" ON "turbomode"."datasets" USING btree ("input_hash");--> statement-breakpoint
CREATE INDEX "datasets_session" ON "turbomode"."datasets" USING btree ("session_date","universe_version","feature_set_version");--> statement-breakpoint
CREATE INDEX "model_promotions_universe" ON "turbomode"."model_promotions" USING btree ("universe","effective_from_session","promotion_id");--> statement-breakpoint
CREATE INDEX "model_versions_session" ON "turbomode"."model_versions" USING btree ("universe","session_date");--> statement-breakpoint
CREATE INDEX "events_open" ON "ops"."events" USING btree ("kind","event_id") WHERE "ops"."events"."handled_at" is null;--> statement-breakpoint
CREATE INDEX "liveness_beat" ON "ops"."liveness" USING btree ("process","beat_at");--> statement-breakpoint
CREATE UNIQUE INDEX "nights_claim" ON "ops"."nights" USING btree ("session_date","universe") WHERE "ops"."nights"."state" in ('pending', 'waiting', 'running', 'awaiting_review');--> statement-breakpoint
CREATE INDEX "nights_session" ON "ops"."nights" USING btree ("session_date","universe");--> statement-breakpoint
CREATE UNIQUE INDEX "reviews_once" ON "ops"."reviews" USING btree ("task_run_id","after_attempt");--> statement-breakpoint
CREATE INDEX "run_requests_open" ON "ops"."run_requests" USING btree ("requested_at") WHERE "ops"."run_requests"."taken_at" is null and "ops"."run_requests"."refused_reason" is null;--> statement-breakpoint
CREATE INDEX "task_runs_night" ON "ops"."task_runs" USING btree ("night_workflow_id","night_run_id");--> statement-breakpoint
CREATE INDEX "task_runs_session" ON "ops"."task_runs" USING btree ("session_date","universe","task");--> statement-breakpoint
CREATE INDEX "task_runs_open" ON "ops"."task_runs" USING btree ("state") WHERE "ops"."task_runs"."state" in ('pending', 'waiting', 'running', 'awaiting_review');