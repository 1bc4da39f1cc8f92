package sqlstore_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	us "understudy"
	"understudy/internal/management"
	"understudy/internal/management/storetest"
	"understudy/internal/sqlstore"
	"understudy/internal/sqlstore/pgtest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(mortalVariable); path != "" {
		if err := serveMortal(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	pgtest.Main(m)
}

type database struct {
	name string
	// empty returns the DSN of an empty database, which goes when the test ends.
	empty func(t testing.TB) string
}

// databases are the kinds on which every test runs that is not about one of them.
var databases = []database{
	{"SQLite", func(t testing.TB) string {
		return "sqlite:" + filepath.Join(t.TempDir(), "a folder?x=1#y%20", "management.db")
	}},
	{"PostgreSQL", func(t testing.TB) string { return pgtest.Shared(t).Database(t) }},
}

func init() {
	if givenSQLServer != "" {
		databases = append(databases, database{"SQL Server", emptySQLServer})
	}
}

// eachDatabase runs a test on a database of each kind.
func eachDatabase(t *testing.T, test func(t *testing.T, dsn string)) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) { test(t, d.empty(t)) })
	}
}

func open(t testing.TB, dsn string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), dsn)
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

func TestStores(t *testing.T) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			storetest.Run(t, func(t testing.TB) management.Store {
				dsn := d.empty(t)
				s := open(t, dsn)
				t.Cleanup(func() { isInTables(t, s, dsn) })
				return s
			})
		})
	}
}

// isInTables checks that what a store remembers of the site is what its tables say.
func isInTables(t testing.TB, s management.Store, dsn string) {
	t.Helper()
	remembered, err1 := json.Marshal(site(t, s))
	read, err2 := json.Marshal(site(t, open(t, dsn)))
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
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			n, failed := 0, false
			rapid.Check(t, func(r *rapid.T) {
				if n++; n > enough && !failed { // but a failure is shrunk
					return
				}
				failed = true
				dsn := d.empty(t)
				s, err := sqlstore.Open(context.Background(), dsn)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }()
				storetest.Properties(r, t, s)
				isInTables(t, s, dsn)
				failed = false
			})
		})
	}
}

// put is one camera with a lease, under an epoch.
func put(t testing.TB, s management.Store, id us.CameraID, epoch uint64) error {
	t.Helper()
	return s.Update(context.Background(), func(tx management.Tx) error {
		_, err := tx.Append(us.Event{At: time.Now(), Hash: rand.Text(), Kind: us.EventConfig, Changes: []us.Change{
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
	eachDatabase(t, func(t *testing.T, dsn string) {
		first := open(t, dsn)
		if err := put(t, first, "a", 1); err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, dsn)
		if s := site(t, again); s.Seq != 1 || len(s.Cameras) != 1 {
			t.Errorf("after a restart the site is %+v", s)
		}
		if err := put(t, again, "a", 1); us.CodeOf(err) != us.CodeConflict {
			t.Errorf("after a restart epoch 1 can be granted twice: %v", err)
		}
	})
}

// Several processes work on one database, or one takes over from the other.
func TestTwoStoresOnOneDatabase(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		stores := []*sqlstore.Store{open(t, dsn), open(t, dsn)}
		var all sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for n := range 40 {
			all.Go(func() {
				err := put(t, stores[n%2], "a", uint64(n/4+1)) // four want each epoch
				for us.CodeOf(err) == us.CodeUnavailable {     // SQLite is not fair to another process, and says so in the end
					err = put(t, stores[n%2], "a", uint64(n/4+1))
				}
				switch {
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
		if one.Seq != uint64(won) || other.Seq != one.Seq || *one.Leases[0] != *other.Leases[0] {
			t.Errorf("%d grants; one store has event %d and %+v, the other event %d and %+v", won, one.Seq, *one.Leases[0], other.Seq, *other.Leases[0])
		}
	})
}

// Two servers that start at once on an empty database do not stumble over each other.
func TestStoresThatMigrateAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				s, err := sqlstore.Open(context.Background(), dsn)
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if s := site(t, open(t, dsn)); s.Seq != 0 {
			t.Errorf("the site is %+v", s)
		}
	})
}

func TestADatabaseThatIsBusyIsUnavailable(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		one, other := open(t, dsn), open(t, dsn)
		err := one.Update(context.Background(), func(management.Tx) error {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			err := other.Update(ctx, func(management.Tx) error { return nil })
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
	})
}

// A number does not name an event where the database went back and on from there:
// what a store remembers of another history is not the site.
func TestAnotherHistoryWithTheSameNumberIsAnotherSite(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		s, other := open(t, dsn), open(t, dsn)
		for _, id := range []us.CameraID{"a", "b"} {
			if err := put(t, s, id, 1); err != nil {
				t.Fatal(err)
			}
		}
		if got := site(t, s); got.Seq != 2 {
			t.Fatalf("the site is %+v", got)
		}
		sqlstore.Undo(t, other)
		if err := put(t, other, "c", 1); err != nil {
			t.Fatal(err)
		}
		for _, want := range []us.CameraID{"c", "d"} { // of the same number, and beyond
			if got := site(t, s); got.Cameras[len(got.Cameras)-1].ID != want || len(got.Cameras) != int(got.Seq) {
				t.Errorf("the site is %+v, and its newest camera was %s", got, want)
			}
			if want == "c" {
				if err := put(t, other, "d", 1); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestADatabaseOfANewerVersionIsRefused(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		sqlstore.Exec(t, open(t, dsn), "INSERT INTO schema_version (version) VALUES (9999)")
		for _, open := range []func(context.Context, string) (*sqlstore.Store, error){sqlstore.Open, sqlstore.Find} {
			if _, err := open(context.Background(), dsn); us.CodeOf(err) != us.CodeConflict || !strings.Contains(err.Error(), "form 9999") {
				t.Errorf("opened with %v", err)
			}
		}
	})
}

func TestOnlyWhatIsThereIsFound(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		if _, err := sqlstore.Find(context.Background(), dsn); err == nil {
			t.Error("an empty database was found to be a store")
		}
		s := open(t, dsn)
		if was, now := s.Form(); was != 0 || now < 12 {
			t.Errorf("made: form %d became %d", was, now)
		}
		found, err := sqlstore.Find(context.Background(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		if err := found.Close(); err != nil {
			t.Error(err)
		}
		sqlstore.Exec(t, s, "DELETE FROM schema_version WHERE version > 11")
		if _, err := sqlstore.Find(context.Background(), dsn); us.CodeOf(err) != us.CodeConflict || !strings.Contains(err.Error(), "store migrate") {
			t.Errorf("an older form was found: %v", err)
		}
	})
}

// BenchmarkClaim takes over 200 cameras and gives them back.
func BenchmarkClaim(b *testing.B) {
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) { benchmarkClaim(b, storetest.New(b, open(b, d.empty(b)))) })
	}
}

func benchmarkClaim(b *testing.B, m *management.Management) {
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
