-- What was said stays said: rows below are refused by the table itself, whoever asks.
CREATE FUNCTION ops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
		USING ERRCODE = 'insufficient_privilege';
END
$$;
--> statement-breakpoint
-- Retention is the only reason to delete, and the maintenance role the only one that applies it.
CREATE FUNCTION ops.refuse_change_except_retention() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' AND current_user = 'nightshift_maintenance' THEN
		RETURN OLD;
	END IF;
	RAISE EXCEPTION '%.% is never overwritten: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
		USING ERRCODE = 'insufficient_privilege';
END
$$;
--> statement-breakpoint
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON ops.audit
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
--> statement-breakpoint
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON ops.audit
	FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
--> statement-breakpoint
CREATE TRIGGER configs_append_only BEFORE UPDATE OR DELETE ON ops.configs
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
--> statement-breakpoint
CREATE TRIGGER model_promotions_append_only BEFORE UPDATE OR DELETE ON turbomode.model_promotions
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change();
--> statement-breakpoint
CREATE TRIGGER predictions_no_overwrite BEFORE UPDATE OR DELETE ON turbomode.predictions
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change_except_retention();
--> statement-breakpoint
CREATE TRIGGER predictions_no_truncate BEFORE TRUNCATE ON turbomode.predictions
	FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
--> statement-breakpoint
CREATE TRIGGER signals_no_overwrite BEFORE UPDATE OR DELETE ON turbomode.signals
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change_except_retention();
--> statement-breakpoint
CREATE TRIGGER signals_no_truncate BEFORE TRUNCATE ON turbomode.signals
	FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change();
--> statement-breakpoint
CREATE TRIGGER bar_revisions_no_overwrite BEFORE UPDATE OR DELETE ON market.bar_revisions
	FOR EACH ROW EXECUTE FUNCTION ops.refuse_change_except_retention();
