package sqlstore_test

import (
	"regexp"
	"strings"
	"testing"

	us "understudy"
	"understudy/internal/management/storetest"
	"understudy/internal/sqlstore"
)

var madeTable = regexp.MustCompile(`(?i)CREATE TABLE (\w+)`)

// Management servers of one database are upgraded one by one: the first brings the
// database to its newer form under the others, which go on until it is their turn.
func TestAnOpenStoreGoesOnWhenANewerVersionComes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		old := open(t, dsn)
		m := storetest.New(t, old)
		configure := func(id us.CameraID) {
			t.Helper()
			if _, err := m.PutCamera(t.Context(), us.Camera{ID: id, Home: "rec1", URL: "rtsp://10.0.0.9/1"}, new(us.Secret("a password"))); err != nil {
				t.Fatal(err)
			}
		}
		claim := func(id string, epoch uint64) {
			t.Helper()
			c := us.Claim{ID: id, Claimant: "fo1", Home: "rec1", Kind: us.ClaimTakeover, Cameras: []us.CameraEpoch{{Camera: us.CameraID(id), Epoch: epoch}}, Sentence: "rec1 is silent"}
			if answer, err := m.Claim(t.Context(), c); err != nil || len(answer.Granted) != 1 {
				t.Fatalf("claim %s: %+v, %v", id, answer, err)
			}
		}
		at := us.Addresses{Media: "10.0.0.1:7563", State: "10.0.0.1:11000", Merge: "10.0.0.1:5210"}
		if _, err := m.PutFailoverServer(t.Context(), us.FailoverServer{ID: "fo1", Addresses: at}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.PutRecordingServer(t.Context(), us.RecordingServer{ID: "rec1", Addresses: at, HotStandby: "fo1"}); err != nil {
			t.Fatal(err)
		}
		configure("camera-1") // so that what the database has prepared is of the older form
		claim("camera-1", 1)

		widened := map[string]bool{}
		for _, text := range sqlstore.Migrations(t, dsn) {
			for _, table := range madeTable.FindAllStringSubmatch(text, -1) {
				if !widened[table[1]] {
					sqlstore.Exec(t, old, "ALTER TABLE "+table[1]+" ADD newer INTEGER NOT NULL DEFAULT 7")
				}
				widened[table[1]] = true
			}
		}
		if len(widened) < 10 {
			t.Fatalf("only the tables %v were found", widened)
		}
		sqlstore.Exec(t, old, "INSERT INTO schema_version (version) VALUES (9999)")

		configure("camera-2")
		claim("camera-2", 1)
		if got := site(t, old); len(got.Cameras) != 2 || len(got.Leases) != 2 {
			t.Errorf("the site is %+v", got)
		}
		if audit, err := m.VerifyAudit(t.Context()); err != nil || len(audit.Faults) != 0 {
			t.Errorf("the log is found changed: %+v, %v", audit, err)
		}
	})
}

// What the last version does not know of, it can do without.
func TestMigrationsOnlyAdd(t *testing.T) {
	const sinceOnePerSite = 10 // until this form a database had one management server, which had stopped
	comment := regexp.MustCompile(`(?m)^--.*$`)
	adds := regexp.MustCompile(`^(CREATE TABLE \w+ \(|CREATE INDEX |ALTER TABLE \w+ ADD \w+ .* NOT NULL DEFAULT )`)
	for n, text := range sqlstore.Migrations(t, "sqlite:any") {
		for statement := range strings.SplitSeq(comment.ReplaceAllString(text, ""), ";") {
			if statement = strings.TrimSpace(statement); n >= sinceOnePerSite && statement != "" && !adds.MatchString(statement) {
				t.Errorf("migration %d does more than add a table, an index, or a column with a default: %s", n+1, statement)
			}
		}
	}
}
