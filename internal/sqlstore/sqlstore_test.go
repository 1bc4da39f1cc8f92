package sqlstore_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	us "understudy"
	"understudy/internal/management"
	"understudy/internal/management/storetest"
	"understudy/internal/sqlstore"
)

func open(t testing.TB, path string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t testing.TB) management.Store {
		path := filepath.Join(t.TempDir(), "a folder?x=1#y%20", "management.db")
		s := open(t, path)
		t.Cleanup(func() { isInTables(t, s, path) })
		return s
	})
}

// isInTables checks that what a store remembers of the site is what its tables say.
func isInTables(t testing.TB, s management.Store, path string) {
	t.Helper()
	remembered, err1 := json.Marshal(site(t, s))
	read, err2 := json.Marshal(site(t, open(t, path)))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	lists := strings.NewReplacer("null", "[]") // an empty list is one, nil or not
	if got, want := lists.Replace(string(read)), lists.Replace(string(remembered)); got != want {
		t.Errorf("the tables say\n%s\nand the store remembers\n%s", got, want)
	}
}

func TestWhatAlwaysHolds(t *testing.T) {
	const enough = 15 // of these; the store in memory goes through all
	dir, n, failed := t.TempDir(), 0, false
	rapid.Check(t, func(r *rapid.T) {
		if n++; n > enough && !failed { // but a failure is shrunk
			return
		}
		failed = true
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		s, err := sqlstore.Open(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		storetest.Properties(r, t, s)
		isInTables(t, s, path)
		failed = false
	})
}

// put is one camera with a lease, under an epoch.
func put(t testing.TB, s management.Store, id us.CameraID, epoch uint64) error {
	t.Helper()
	return s.Update(context.Background(), func(tx management.Tx) error {
		_, err := tx.Append(us.Event{At: time.Now(), Kind: us.EventConfig, Changes: []us.Change{
			{Camera: &us.Camera{ID: id, Home: "rec1"}}, {Lease: &us.Lease{Camera: id, Holder: "rec1", Epoch: epoch}},
		}})
		return err
	})
}

func site(t testing.TB, s management.Store) (site us.Site) {
	t.Helper()
	err := s.View(context.Background(), func(r management.Reader) (err error) {
		site, err = r.Site()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func TestWhatWasCommittedIsThereAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	first := open(t, path)
	if err := put(t, first, "a", 1); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	if s := site(t, again); s.Seq != 1 || len(s.Cameras) != 1 {
		t.Errorf("after a restart the site is %+v", s)
	}
	if err := put(t, again, "a", 1); us.CodeOf(err) != us.CodeConflict {
		t.Errorf("after a restart epoch 1 can be granted twice: %v", err)
	}
}

// Two processes may have the database open while one takes over from the other.
func TestTwoStoresOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	stores := []*sqlstore.Store{open(t, path), open(t, path)}
	var all sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for n := range 40 {
		all.Go(func() {
			switch err := put(t, stores[n%2], "a", uint64(n/4+1)); { // four want each epoch
			case err == nil:
				mu.Lock()
				won++
				mu.Unlock()
			case us.CodeOf(err) != us.CodeConflict:
				t.Error(err)
			}
		})
	}
	all.Wait()
	one, other := site(t, stores[0]), site(t, stores[1])
	if one.Seq != uint64(won) || other.Seq != one.Seq || one.Leases[0] != other.Leases[0] {
		t.Errorf("%d grants; one store has event %d and %+v, the other event %d and %+v", won, one.Seq, one.Leases, other.Seq, other.Leases)
	}
}

func TestADatabaseThatIsBusyIsUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	one, other := open(t, path), open(t, path)
	err := one.Update(context.Background(), func(management.Tx) error {
		err := put(t, other, "a", 1)
		if us.CodeOf(err) != us.CodeUnavailable {
			t.Errorf("while another process writes: %v, want unavailable", err)
		}
		if s := site(t, other); s.Seq != 0 {
			t.Errorf("readers wait for no writer, and saw %+v", s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(t, other, "a", 1); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestADatabaseOfANewerVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	open(t, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("INSERT INTO schema_version (version) VALUES (9999)")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = sqlstore.Open(context.Background(), path)
	if us.CodeOf(err) != us.CodeConflict || !strings.Contains(err.Error(), "form 9999") {
		t.Errorf("opened with %v", err)
	}
}

func TestADatabaseOfTheFirstVersionIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	first, err := os.ReadFile("migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	hash := management.TokenHash{1}
	_, err = db.Exec("CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version (version) VALUES (1);" + string(first) +
		"INSERT INTO tokens (hash, purpose, account, server, role, created, expires, used) VALUES (x'01" + strings.Repeat("00", 31) + "', 'join', '', 'rec1', 'recording', 1, 3, 2);" +
		"INSERT INTO cameras (id, name, home, url, transport, username, failover, priority, keep_for) VALUES ('a', 'A', 'rec1', 'rtsp://h/', 'tcp', '', 'full', 0, 7);" +
		"INSERT INTO recording_servers (id, name, media_address, state_address, merge_address, hot_standby, primary_group, secondary_group) VALUES " +
		"('rec1', 'R', 'h:1', 'h:2', 'h:3', '', '', ''), ('rec3', 'R', 'h:1', 'h:2', 'h:3', '', '', ''), ('rec2', 'R', 'h:1', 'h:2', 'h:3', '', '', '')")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	err = open(t, path).View(context.Background(), func(r management.Reader) error {
		token, ok, err := r.Token(hash)
		if !ok || token.Server != "rec1" || token.Used.IsZero() || token.UsedBy != [32]byte{} {
			t.Errorf("read %+v, %v", token, ok)
		}
		site, siteErr := r.Site()
		if len(site.Cameras) != 1 || site.Cameras[0].KeepFor != 7 || site.Cameras[0].Rule != (us.RecordingRule{}) {
			t.Errorf("a camera from before there were rules is %+v", site.Cameras)
		}
		if want := []us.MovedCamera{{Camera: "a", From: []us.ServerID{"rec2", "rec3"}}}; !reflect.DeepEqual(site.Moved, want) {
			t.Errorf("a camera that may have been anywhere was at %+v", site.Moved)
		}
		return errors.Join(err, siteErr)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "management.db")
	text := strings.Repeat("these are somebody's notes\n", 100)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.Open(context.Background(), path); us.CodeOf(err) != us.CodeUnavailable {
		t.Errorf("opened with %v", err)
	}
	if left, err := os.ReadFile(path); err != nil || string(left) != text {
		t.Errorf("the file was changed, %v", err)
	}
	if _, err := sqlstore.Open(context.Background(), filepath.Join(path, "x.db")); us.CodeOf(err) != us.CodeUnavailable {
		t.Errorf("below a file: opened with %v", err)
	}
}

func TestOnlyTheOwnerMayReadIt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "management.db"))
	if err := put(t, s, "a", 1); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

// A power cut must not undo a granted lease.
func TestCommitsAreSynced(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "management.db"))
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal"} {
		if got := sqlstore.Pragma(t, s, pragma); got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
}

// BenchmarkClaim takes over 200 cameras and gives them back.
func BenchmarkClaim(b *testing.B) {
	m := storetest.New(b, open(b, filepath.Join(b.TempDir(), "management.db")))
	ctx := context.Background()
	at := us.Addresses{Media: "h:1", State: "h:2", Merge: "h:3"}
	_, err := m.PutFailoverServer(ctx, us.FailoverServer{ID: "fo1", Addresses: at})
	_, err2 := m.PutRecordingServer(ctx, us.RecordingServer{ID: "rec1", Addresses: at, HotStandby: "fo1"})
	if err := errors.Join(err, err2); err != nil {
		b.Fatal(err)
	}
	wanted := make([]us.CameraEpoch, 200)
	password := us.Secret("secret")
	for i := range wanted {
		wanted[i].Camera = us.CameraID(fmt.Sprintf("camera-%03d", i))
		if _, err := m.PutCamera(ctx, us.Camera{ID: wanted[i].Camera, Home: "rec1", URL: "rtsp://h/"}, &password); err != nil {
			b.Fatal(err)
		}
	}
	for n := 0; b.Loop(); n++ {
		for i := range wanted {
			wanted[i].Epoch = uint64(n + 1)
		}
		c := us.Claim{ID: fmt.Sprintf("claim-%06d", n), Claimant: "fo1", Home: "rec1", Kind: us.ClaimTakeover, Cameras: wanted}
		if n%2 == 1 {
			c.Claimant, c.Kind = "rec1", us.ClaimFailback
		}
		if answer, err := m.Claim(ctx, c); err != nil || len(answer.Granted) != len(wanted) {
			b.Fatal(answer.Refused, err)
		}
	}
}

func TestSQLiteVersionsThatCorruptAreKnown(t *testing.T) {
	for version, want := range map[string]bool{"3.51.3": true, "3.51.10": true, "3.53.0": true, "4.0.0": true,
		"3.51.2": false, "3.7.17": false, "2.99.99": false, "3.51": false, "": false, "x.y.z": false} {
		if got := sqlstore.AtLeast(version, [3]int{3, 51, 3}); got != want {
			t.Errorf("version %q accepted: %v, want %v", version, got, want)
		}
	}
}
