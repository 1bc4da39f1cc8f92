package sqlstore_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	us "understudy"
	"understudy/internal/management"
	"understudy/internal/management/storetest"
	"understudy/internal/sqlstore"
)

// A store that went through another database and back is the same, to the byte.
func TestCopyThereAndBack(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		first, there, back := open(t, "sqlite:"+filepath.Join(dir, "a.db")), open(t, dsn), open(t, "sqlite:"+filepath.Join(dir, "b.db"))
		storetest.Fill(t, first)
		rows := int64(0)
		o := sqlstore.CopyOptions{Progress: func(done, total int64) {
			if done <= rows || done > total {
				t.Errorf("told %d of %d rows after %d", done, total, rows)
			}
			rows = done
		}}
		for _, step := range [][2]*sqlstore.Store{{first, there}, {there, back}} {
			rows = 0
			if err := sqlstore.Copy(t.Context(), step[0], step[1], o); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := sqlstore.Dump(t, back), sqlstore.Dump(t, first); got != want {
			t.Errorf("it came back as\n%s\nand was\n%s", got, want)
		}
		if err := put(t, there, "another", 100); err != nil {
			t.Errorf("the copy cannot be written to: %v", err)
		}
	})
}

func TestCopyIsOfAllTables(t *testing.T) {
	var all []string
	for name := range strings.SplitSeq(sqlstore.Setting(t, open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db")),
		"SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_version'"), ",") {
		all = append(all, name)
	}
	copied := sqlstore.Tables()
	slices.Sort(all)
	slices.Sort(copied)
	if !slices.Equal(all, copied) {
		t.Errorf("copied are %v, and there are %v", copied, all)
	}
}

// A source that goes on is refused, unless that is meant; and then the copy is of one moment.
func TestCopyOfWhatGoesOn(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		s, other, to := open(t, dsn), open(t, dsn), open(t, "sqlite:"+filepath.Join(t.TempDir(), "b.db"))
		if err := put(t, s, "a", 1); err != nil {
			t.Fatal(err)
		}
		goesOn := func(id us.CameraID) func(done, total int64) {
			once := false
			return func(int64, int64) {
				if once {
					return
				}
				once = true
				if err := put(t, other, id, 1); err != nil {
					t.Error(err)
				}
			}
		}
		err := sqlstore.Copy(t.Context(), s, to, sqlstore.CopyOptions{Progress: goesOn("b")})
		if us.CodeOf(err) != us.CodeConflict || !strings.Contains(err.Error(), "event 1, then 2") {
			t.Errorf("copied with %v", err)
		}
		if got := site(t, to); got.Seq != 0 {
			t.Errorf("what was refused has left %+v", got)
		}
		if err := sqlstore.Copy(t.Context(), s, to, sqlstore.CopyOptions{InUse: true, Progress: goesOn("c")}); err != nil {
			t.Fatal(err)
		}
		if got := site(t, to); got.Seq != 2 || len(got.Cameras) != 2 {
			t.Errorf("copied %+v", got)
		}
	})
}

// What is done to a copy is done with it or not at all.
func TestCopyWithALastActThatFails(t *testing.T) {
	eachDatabase(t, func(t *testing.T, dsn string) {
		from, to := open(t, "sqlite:"+filepath.Join(t.TempDir(), "a.db")), open(t, dsn)
		if err := put(t, from, "a", 1); err != nil {
			t.Fatal(err)
		}
		o := sqlstore.CopyOptions{Progress: func(int64, int64) {}, Then: func(tx management.Tx) error {
			site, err := tx.Site()
			if err != nil || len(site.Leases) != 1 {
				t.Errorf("the last act sees %+v, %v", site, err)
			}
			return context.Canceled
		}}
		if err := sqlstore.Copy(t.Context(), from, to, o); err == nil {
			t.Error("it was copied")
		}
		if got := site(t, to); got.Seq != 0 || len(got.Leases) != 0 {
			t.Errorf("it has left %+v", got)
		}
	})
}
