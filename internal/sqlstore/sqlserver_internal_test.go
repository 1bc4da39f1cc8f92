package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mssqldialect"

	us "understudy"
	"understudy/internal/management"
)

var write = flag.Bool("write", false, "write down what the queries for SQL Server are now")

// tape is a connection that writes down what it is asked and answers that there is nothing.
type tape struct{ asked []string }

func (c *tape) Connect(context.Context) (driver.Conn, error) { return c, nil }
func (c *tape) Driver() driver.Driver                        { return nil }
func (c *tape) Close() error                                 { return nil }
func (c *tape) Begin() (driver.Tx, error)                    { return c, nil }
func (c *tape) Commit() error                                { return nil }
func (c *tape) Rollback() error                              { return nil }
func (c *tape) Prepare(string) (driver.Stmt, error)          { return nil, errors.ErrUnsupported }

func (c *tape) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	c.asked = append(c.asked, query)
	return driver.RowsAffected(0), nil
}

func (c *tape) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	c.asked = append(c.asked, query)
	return nothing{}, nil
}

type nothing struct{}

func (nothing) Columns() []string         { return nil }
func (nothing) Close() error              { return nil }
func (nothing) Next([]driver.Value) error { return io.EOF }

// There is no SQL Server where this is built: what it would be asked is written
// down, to be read by who knows it, and a change is seen. TestStores proves it where
// UNDERSTUDY_TEST_SQLSERVER_DSN names one.
func TestQueriesForSQLServer(t *testing.T) {
	c := &tape{}
	db := bun.NewDB(sql.OpenDB(c), mssqldialect.New())
	defer func() { _ = db.Close() }()
	sqltx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := reader{store: &Store{engine: sqlServer{}}, ctx: t.Context(), db: sqltx}
	if _, err := r.log(sqlServer{}.inTurn); !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	r.row = &logRow{ID: 1}
	ask(t, &tx{reader: r})
	slices.Sort(c.asked)
	got := strings.Join(slices.Compact(c.asked), ";\n") + ";\n"
	const golden = "testdata/sqlserver.sql"
	if *write {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != got {
		t.Errorf("%v; SQL Server is asked\n%s\nand was\n%s\nif that is as it should be, run the test with -write", err, got, want)
	}
}

// ask asks everything that there is to ask.
func ask(t *testing.T, tx *tx) {
	t.Helper()
	at := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	must(tx.PutLog(management.Log{Stream: "log-x"}))
	for n := range uint64(2) {
		_, err := tx.Append(us.Event{At: at, Kind: us.EventConfig, Camera: "a", Sentence: "it's", Changes: []us.Change{
			{Camera: &us.Camera{ID: "a"}}, {RecordingServer: &us.RecordingServer{ID: "r"}}, {FailoverServer: &us.FailoverServer{ID: "f"}},
			{Group: &us.FailoverGroup{ID: "g", Members: []us.ServerID{"f"}}}, {Lock: &us.Lock{ID: "l", Camera: "a"}},
			{Moved: &us.MovedCamera{Camera: "a", From: []us.ServerID{"q"}}}, {Revoked: &us.Revocation{Server: "q", Before: at}},
			{CameraGroup: &us.CameraGroup{ID: "d"}}, {Role: &us.SiteRole{Name: "o"}}, {Recall: &us.Recall{User: "ada", Before: at}},
			{Lease: &us.Lease{Camera: "a", Holder: "r", Epoch: n + 1}}, {Lease: &us.Lease{Camera: "b", Holder: "r", Epoch: n + 1}},
		}})
		must(err)
	}
	_, err := tx.Append(us.Event{At: at, Kind: us.EventConfig, Changes: []us.Change{{GoneCamera: "a"}, {GoneServer: "r"}, {GoneGroup: "g"}, {GoneLock: "l"}, {GoneCameraGroup: "d"}, {GoneRole: "o"}}})
	must(err)
	must(tx.ForgetEvents(1))
	must(tx.PutPassword("a", []byte{1}))
	must(tx.PutKeyring([]byte{1}))
	must(tx.PutClaim(management.ClaimRecord{ID: "claim-01", Granted: []us.Lease{}, Refused: []us.Refusal{}}))
	must(tx.ForgetClaims(at))
	must(tx.PutTrigger(management.TriggerRecord{Trigger: us.Trigger{ID: "t"}}))
	must(tx.ForgetTriggers(at))
	must(tx.PutPreflight(us.Preflight{Server: "f"}))
	must(tx.DeletePreflight("f"))
	must(tx.PutAccount(management.Account{User: us.User{Name: "ada"}}))
	must(tx.DeleteAccount("ada"))
	must(tx.PutToken(management.Token{Purpose: management.PurposeJoin}))
	must(tx.DeleteToken(management.TokenHash{}))
	for _, q := range []us.EventQuery{{Limit: 3}, {Limit: 3, After: 1, Before: 9, Kind: us.EventConfig, Camera: "a", Server: "r", Actor: "user:ada", Since: at, Until: at, Text: "5%"}} {
		_, err = tx.Events(q)
		must(err)
	}
	for _, camera := range []us.CameraID{"a", us.AllCameras} {
		if _, err = tx.Epoch(camera); !errors.Is(err, sql.ErrNoRows) {
			t.Error(err) // MAX of nothing is a row everywhere but here
		}
	}
	_, err = tx.Passwords([]us.CameraID{"a", "b"})
	must(err)
	_, err = tx.Keyring()
	must(err)
	_, _, err = tx.Claim("claim-01")
	must(err)
	_, _, err = tx.Trigger("t")
	must(err)
	_, err = tx.Preflights()
	must(err)
	_, err = tx.Accounts()
	must(err)
	_, _, err = tx.Account("ada")
	must(err)
	_, _, err = tx.Token(management.TokenHash{})
	must(err)
	_, err = tx.Tokens(management.PurposeJoin)
	must(err)
	_, err = tx.readTables()
	must(err)
}
