ALTER TABLE "turbomode"."model_metrics" ADD COLUMN "survivorship" text DEFAULT 'biased' NOT NULL;--> statement-breakpoint
ALTER TABLE "turbomode"."model_versions" ADD COLUMN "survivorship" text DEFAULT 'biased' NOT NULL;--> statement-breakpoint
ALTER TABLE "turbomode"."model_metrics" ADD CONSTRAINT "model_metrics_survivorship" CHECK ("turbomode"."model_metrics"."survivorship" in ('biased', 'unbiased'));--> statement-breakpoint
ALTER TABLE "turbomode"."model_versions" ADD CONSTRAINT "model_versions_survivorship" CHECK ("turbomode"."model_versions"."survivorship" in ('biased', 'unbiased'));--> statement-breakpoint
-- Old rows say what their universe says: one of unknown origin, or one that nobody stored, is taken for a later list.
UPDATE "turbomode"."model_versions" v SET "survivorship" = 'unbiased'
WHERE coalesce(
	(SELECT u."survivorship" FROM "market"."universes" u WHERE u."universe" = v."universe" AND u."version" = v."universe_version"),
	(SELECT l."survivorship" FROM "ops"."universe_lists" l WHERE l."universe" = v."universe" AND l."version" = v."universe_version")
) = 'unbiased';--> statement-breakpoint
UPDATE "turbomode"."model_metrics" m SET "survivorship" = v."survivorship"
FROM "turbomode"."model_versions" v
WHERE v."version" = m."version" AND v."survivorship" <> m."survivorship";
