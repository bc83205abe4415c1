CREATE TABLE "market"."dividend_revisions" (
	"symbol" text COLLATE "C" NOT NULL,
	"ex_date" date NOT NULL,
	"amount" double precision NOT NULL,
	"currency" text DEFAULT 'USD' NOT NULL,
	"basis" text NOT NULL,
	"provider" text NOT NULL,
	"revision" smallint NOT NULL,
	"available_on" date NOT NULL,
	"superseded_on" date NOT NULL,
	"recorded_at" timestamp with time zone NOT NULL,
	CONSTRAINT "dividend_revisions_symbol_ex_date_revision_pk" PRIMARY KEY("symbol","ex_date","revision")
);
--> statement-breakpoint
CREATE TABLE "market"."fundamental_revisions" (
	"symbol" text COLLATE "C" NOT NULL,
	"period_end" date NOT NULL,
	"kind" text NOT NULL,
	"provider" text NOT NULL,
	"currency" text DEFAULT 'USD' NOT NULL,
	"metrics" jsonb NOT NULL,
	"content_hash" text COLLATE "C" NOT NULL,
	"revision" smallint NOT NULL,
	"available_on" date NOT NULL,
	"superseded_on" date NOT NULL,
	"recorded_at" timestamp with time zone NOT NULL,
	CONSTRAINT "fundamental_revisions_symbol_period_end_kind_provider_revision_pk" PRIMARY KEY("symbol","period_end","kind","provider","revision")
);
--> statement-breakpoint
CREATE TABLE "market"."split_revisions" (
	"symbol" text COLLATE "C" NOT NULL,
	"ex_date" date NOT NULL,
	"new_shares" double precision NOT NULL,
	"old_shares" double precision NOT NULL,
	"asked" text[] DEFAULT '{}' NOT NULL,
	"confirmed_by" text[] DEFAULT '{}' NOT NULL,
	"provider" text NOT NULL,
	"revision" smallint NOT NULL,
	"available_on" date NOT NULL,
	"superseded_on" date NOT NULL,
	"recorded_at" timestamp with time zone NOT NULL,
	CONSTRAINT "split_revisions_symbol_ex_date_revision_pk" PRIMARY KEY("symbol","ex_date","revision")
);
--> statement-breakpoint
ALTER TABLE "market"."quarantine" ADD COLUMN "subject" text DEFAULT 'bar' NOT NULL;--> statement-breakpoint
ALTER TABLE "market"."quarantine" DROP CONSTRAINT "quarantine_symbol_session_date_provider_pk";--> statement-breakpoint
ALTER TABLE "market"."quarantine" ADD CONSTRAINT "quarantine_symbol_session_date_subject_provider_pk" PRIMARY KEY("symbol","session_date","subject","provider");--> statement-breakpoint
ALTER TABLE "market"."dividends" ADD COLUMN "revision" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "market"."fundamentals" ADD COLUMN "revision" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "market"."splits" ADD COLUMN "asked" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "market"."splits" ADD COLUMN "confirmed_by" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "market"."splits" ADD COLUMN "revision" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "market"."quarantine" ADD CONSTRAINT "quarantine_subject" CHECK ("market"."quarantine"."subject" in ('bar', 'gap') or "market"."quarantine"."subject" like 'split %');--> statement-breakpoint
-- What a night knew stays known: predecessors are refused to change, whoever asks.
CREATE TRIGGER split_revisions_append_only BEFORE UPDATE OR DELETE ON market.split_revisions
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
--> statement-breakpoint
CREATE TRIGGER dividend_revisions_append_only BEFORE UPDATE OR DELETE ON market.dividend_revisions
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
--> statement-breakpoint
CREATE TRIGGER fundamental_revisions_append_only BEFORE UPDATE OR DELETE ON market.fundamental_revisions
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
