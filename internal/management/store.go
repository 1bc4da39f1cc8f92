package management

import (
	"context"
	"slices"
	"time"

	"understudy"
)

// Store keeps what the authority knows. The suite in storetest says in tests
// what is said here in words.
type Store interface {
	// Update runs f in one transaction: all that f did is kept, durably, or
	// nothing of it. Transactions happen one after another. f may be run again
	// when the store asks for it, so it touches nothing outside but what it
	// overwrites. An error of f is returned as it is. CodeUnavailable when the
	// store cannot be reached or is busy; the outcome is then unknown.
	Update(ctx context.Context, f func(Tx) error) error
	// View runs f on one consistent state.
	View(ctx context.Context, f func(Reader) error) error
}

// Reader reads within a transaction.
type Reader interface {
	// Log returns the zero Log before the first PutLog.
	Log() (Log, error)
	// Site returns everything but history; its Seq is the newest event's.
	Site() (understudy.Site, error)
	// Events returns rows in ascending order. A camera selects the events that
	// are about it or change it. The limit is at least 1.
	Events(q understudy.EventQuery) ([]understudy.Event, error)
	// Epoch returns the highest epoch that a camera ever had, also when the
	// camera is gone; of understudy.AllCameras, the highest of any; 0 if none.
	Epoch(camera understudy.CameraID) (uint64, error)
	// Passwords returns the sealed passwords of those cameras that have one.
	Passwords(cameras []understudy.CameraID) (map[understudy.CameraID][]byte, error)
	// Keyring returns the ring of keys that passwords and second factors are sealed under, itself
	// sealed; nil before the first PutKeyring.
	Keyring() ([]byte, error)
	Claim(id string) (ClaimRecord, bool, error)
	// Trigger returns the event of that id, if it was told lately.
	Trigger(id string) (TriggerRecord, bool, error)
	// Preflights returns the latest of each failover server, by its id.
	Preflights() ([]understudy.Preflight, error)
	// Accounts returns all accounts, by name.
	Accounts() ([]Account, error)
	Account(name string) (Account, bool, error)
	Token(hash TokenHash) (Token, bool, error)
	// Tokens returns all tokens of that purpose, the oldest first.
	Tokens(purpose Purpose) ([]Token, error)
}

// Tx reads and writes within a transaction, and reads what it has written.
type Tx interface {
	Reader
	PutLog(l Log) error
	// Append gives e the next number, writes it, and makes its changes.
	// CodeConflict if a lease's epoch would not grow.
	Append(e understudy.Event) (understudy.Event, error)
	// ForgetEvents forgets the events with a number up to through.
	ForgetEvents(through uint64) error
	// PutPassword keeps a camera's sealed password; nil forgets it.
	PutPassword(camera understudy.CameraID, sealed []byte) error
	PutKeyring(sealed []byte) error
	// PutClaim keeps a claim of a new id.
	PutClaim(c ClaimRecord) error
	// ForgetClaims forgets the claims that were answered before a time.
	ForgetClaims(before time.Time) error
	// PutTrigger creates or replaces the event of that id.
	PutTrigger(t TriggerRecord) error
	// ForgetTriggers forgets the events that were last told before a time.
	ForgetTriggers(before time.Time) error
	// PutPreflight replaces the server's latest one.
	PutPreflight(p understudy.Preflight) error
	DeletePreflight(server understudy.ServerID) error
	// PutAccount creates or replaces the account of that name.
	PutAccount(a Account) error
	DeleteAccount(name string) error
	// PutToken creates or replaces the token of that hash.
	PutToken(t Token) error
	DeleteToken(hash TokenHash) error
}

// Log is what the store says of the log itself.
type Log struct {
	// Stream is the log's name, new whenever the store turns out to be older than the site.
	// Who fills a store from a backup empties it, and the authority knows by that.
	Stream string
	// Floor is the highest epoch that was granted before the log had this name:
	// no epoch up to it is granted again.
	Floor uint64
	// Head is the hash of the newest event. Append keeps it, and PutLog leaves it as it is.
	Head string
}

// ClaimRecord is a claim that was answered, kept so that it is answered alike
// when it is repeated. It holds no secrets.
type ClaimRecord struct {
	ID      string
	Digest  [32]byte // of the claim itself
	At      time.Time
	Seq     uint64 // newest event when it was answered
	Granted []understudy.Lease
	Refused []understudy.Refusal
}

// Account is a user with the hash of the password.
type Account struct {
	User   understudy.User
	Hash   string
	Second Second
}

// Purpose says what a token is good for.
type Purpose string

// The purposes of tokens.
const (
	PurposeSession Purpose = "session" // a signed-in user
	PurposeJoin    Purpose = "join"    // lets one server join, once
	PurposeSetup   Purpose = "setup"   // makes the first administrator
)

// TokenHash is the SHA-256 of a token's secret: the store never sees the secret.
type TokenHash [32]byte

// Token is what is stored of a random secret that was given out.
type Token struct {
	Hash    TokenHash
	Purpose Purpose
	User    string               // whose session
	Visitor *understudy.Identity // whose session, for who has no account: what they may do while it lasts
	Address string               // where the session began
	Server  understudy.ServerID  // that may join
	Role    understudy.Role      // in which it may join
	Created time.Time
	Expires time.Time // zero: never
	Used    time.Time // zero: not yet
	UsedBy  [32]byte  // SHA-256 of the key that it let in
}

// CamerasOf returns the cameras that an event is about or changes, each once, sorted.
func CamerasOf(e understudy.Event) []understudy.CameraID {
	var cameras []understudy.CameraID
	if e.Camera != "" {
		cameras = append(cameras, e.Camera)
	}
	for _, c := range e.Changes {
		switch {
		case c.Camera != nil:
			cameras = append(cameras, c.Camera.ID)
		case c.Lease != nil:
			cameras = append(cameras, c.Lease.Camera)
		case c.GoneCamera != "":
			cameras = append(cameras, c.GoneCamera)
		case c.Trigger != nil:
			cameras = append(cameras, c.Trigger.Camera)
		case c.Lock != nil:
			cameras = append(cameras, c.Lock.Camera)
		case c.Moved != nil:
			cameras = append(cameras, c.Moved.Camera)
		case c.Milestone != nil && c.Milestone.Camera != "":
			cameras = append(cameras, c.Milestone.Camera)
		case c.Account != nil:
			cameras = append(cameras, c.Account.Camera)
		}
	}
	slices.Sort(cameras)
	return slices.Compact(cameras)
}
