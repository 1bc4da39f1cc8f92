-- Homes that a camera had before, as JSON: footage of that time stays there. Of what was
-- moved before this was written down nobody knows, so each may have been anywhere.
CREATE TABLE moved_cameras (
    camera {{.ID}} PRIMARY KEY,
    homes  {{.Text}} NOT NULL
);
{{if .HadSites -}}
INSERT INTO moved_cameras
SELECT c.id, (SELECT json_group_array(r.id) FROM (SELECT id FROM recording_servers WHERE id <> c.home ORDER BY id) AS r)
FROM cameras AS c
WHERE (SELECT COUNT(*) FROM recording_servers) > 1;
{{- end}}
