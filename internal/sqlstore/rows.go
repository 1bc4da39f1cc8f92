package sqlstore

import (
	"crypto/sha256"
	"time"

	"github.com/uptrace/bun"

	"understudy"
	"understudy/internal/management"
)

// A row for each table, and what it means.

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

type logRow struct {
	bun.BaseModel `bun:"table:log"`
	ID            int64 `bun:",pk"`
	Stream        string
	Floor         uint64
	Seq           uint64
	Head          string
}

type eventRow struct {
	bun.BaseModel `bun:"table:events"`
	Seq           uint64 `bun:",pk"`
	At            int64
	Kind          understudy.EventKind
	Actor         string
	Server        understudy.ServerID
	Camera        understudy.CameraID
	Sentence      string
	Decided       int64
	Changes       []understudy.Change
	Address       string
	Was           []understudy.Change
	Hash          string
}

func eventToRow(e understudy.Event) eventRow {
	row := eventRow{Seq: e.Seq, At: micros(e.At), Kind: e.Kind, Actor: e.Actor, Server: e.Server, Camera: e.Camera,
		Sentence: e.Sentence, Decided: micros(e.Decided), Changes: e.Changes, Address: e.From, Was: e.Was, Hash: e.Hash}
	if row.Changes == nil {
		row.Changes = []understudy.Change{}
	}
	if row.Was == nil {
		row.Was = []understudy.Change{}
	}
	return row
}

func (r eventRow) event() understudy.Event {
	e := understudy.Event{Seq: r.Seq, At: instant(r.At), Kind: r.Kind, Actor: r.Actor, Server: r.Server, Camera: r.Camera,
		Sentence: r.Sentence, Decided: instant(r.Decided), From: r.Address, Hash: r.Hash}
	if len(r.Changes) > 0 {
		e.Changes = r.Changes
	}
	if len(r.Was) > 0 {
		e.Was = r.Was
	}
	return e
}

type eventCameraRow struct {
	bun.BaseModel `bun:"table:event_cameras"`
	Camera        understudy.CameraID `bun:",pk"`
	Seq           uint64              `bun:",pk"`
}

type cameraRow struct {
	bun.BaseModel `bun:"table:cameras"`
	ID            understudy.CameraID `bun:",pk"`
	Name          string
	Home          understudy.ServerID
	URL           string
	Transport     understudy.Transport
	Username      string
	Failover      understudy.FailoverSupport
	Priority      int
	KeepFor       int64
	Mirror        understudy.ServerID
	Sessions      int
	Rule          understudy.RecordingRule
	Sub           string
}

func cameraToRow(c understudy.Camera) cameraRow {
	return cameraRow{ID: c.ID, Name: c.Name, Home: c.Home, URL: c.URL, Transport: c.Transport,
		Username: c.Username, Failover: c.Failover, Priority: c.Priority, KeepFor: int64(c.KeepFor),
		Mirror: c.Mirror, Sessions: c.Sessions, Rule: c.Rule, Sub: c.Sub}
}

func (r cameraRow) camera() understudy.Camera {
	return understudy.Camera{ID: r.ID, Name: r.Name, Home: r.Home, URL: r.URL, Transport: r.Transport,
		Username: r.Username, Failover: r.Failover, Priority: r.Priority, KeepFor: time.Duration(r.KeepFor),
		Mirror: r.Mirror, Sessions: r.Sessions, Rule: r.Rule, Sub: r.Sub}
}

type passwordRow struct {
	bun.BaseModel `bun:"table:camera_passwords"`
	Camera        understudy.CameraID `bun:",pk"`
	Sealed        []byte
}

type keyringRow struct {
	bun.BaseModel `bun:"table:keyring"`
	ID            int64 `bun:",pk"`
	Sealed        []byte
}

type recordingServerRow struct {
	bun.BaseModel  `bun:"table:recording_servers"`
	ID             understudy.ServerID `bun:",pk"`
	Name           string
	MediaAddress   string
	StateAddress   string
	MergeAddress   string
	MirrorStandby  understudy.ServerID
	HotStandby     understudy.ServerID
	PrimaryGroup   understudy.GroupID
	SecondaryGroup understudy.GroupID
	MergeRate      int64
	MergeWindows   string
	MergeGrace     int64
	Failback       understudy.FailbackPolicy
	HandOver       understudy.HandOver
	Maintenance    understudy.Maintenance
	TakeBack       int64
}

func recordingServerToRow(s understudy.RecordingServer) recordingServerRow {
	return recordingServerRow{ID: s.ID, Name: s.Name, MediaAddress: s.Addresses.Media, StateAddress: s.Addresses.State,
		MergeAddress: s.Addresses.Merge, MirrorStandby: s.MirrorStandby, HotStandby: s.HotStandby, PrimaryGroup: s.PrimaryGroup, SecondaryGroup: s.SecondaryGroup,
		MergeRate: s.Merge.BytesPerSecond, MergeWindows: s.Merge.Windows, MergeGrace: int64(s.Merge.Grace),
		Failback: s.Failback, HandOver: s.HandOver, Maintenance: s.Maintenance, TakeBack: micros(s.TakeBack)}
}

func (r recordingServerRow) server() understudy.RecordingServer {
	return understudy.RecordingServer{ID: r.ID, Name: r.Name, MirrorStandby: r.MirrorStandby, HotStandby: r.HotStandby, PrimaryGroup: r.PrimaryGroup, SecondaryGroup: r.SecondaryGroup,
		Failback: r.Failback, HandOver: r.HandOver, Maintenance: r.Maintenance, TakeBack: instant(r.TakeBack),
		Merge:     understudy.MergePolicy{BytesPerSecond: r.MergeRate, Windows: r.MergeWindows, Grace: time.Duration(r.MergeGrace)},
		Addresses: understudy.Addresses{Media: r.MediaAddress, State: r.StateAddress, Merge: r.MergeAddress}}
}

type failoverServerRow struct {
	bun.BaseModel `bun:"table:failover_servers"`
	ID            understudy.ServerID `bun:",pk"`
	Name          string
	MediaAddress  string
	StateAddress  string
	MergeAddress  string
	MaxCameras    int
	MaxBitRate    int64
	MinDiskTime   int64
}

func failoverServerToRow(s understudy.FailoverServer) failoverServerRow {
	return failoverServerRow{ID: s.ID, Name: s.Name, MediaAddress: s.Addresses.Media, StateAddress: s.Addresses.State, MergeAddress: s.Addresses.Merge,
		MaxCameras: s.Capacity.Cameras, MaxBitRate: s.Capacity.BitRate, MinDiskTime: int64(s.Capacity.DiskFor)}
}

func (r failoverServerRow) server() understudy.FailoverServer {
	return understudy.FailoverServer{ID: r.ID, Name: r.Name,
		Capacity:  understudy.Capacity{Cameras: r.MaxCameras, BitRate: r.MaxBitRate, DiskFor: time.Duration(r.MinDiskTime)},
		Addresses: understudy.Addresses{Media: r.MediaAddress, State: r.StateAddress, Merge: r.MergeAddress}}
}

type groupRow struct {
	bun.BaseModel `bun:"table:failover_groups"`
	ID            understudy.GroupID `bun:",pk"`
	Name          string
	Members       []understudy.ServerID
}

func groupToRow(g understudy.FailoverGroup) groupRow {
	return groupRow{ID: g.ID, Name: g.Name, Members: g.Members}
}

func (r groupRow) group() understudy.FailoverGroup {
	return understudy.FailoverGroup{ID: r.ID, Name: r.Name, Members: r.Members}
}

type leaseRow struct {
	bun.BaseModel `bun:"table:leases"`
	Camera        understudy.CameraID `bun:",pk"`
	Holder        understudy.ServerID
	Epoch         uint64
	Since         int64
	Sentence      string
}

func leaseToRow(l understudy.Lease) leaseRow {
	return leaseRow{Camera: l.Camera, Holder: l.Holder, Epoch: l.Epoch, Since: micros(l.Since), Sentence: l.Sentence}
}

func (r leaseRow) lease() *understudy.Lease {
	return &understudy.Lease{Camera: r.Camera, Holder: r.Holder, Epoch: r.Epoch, Since: instant(r.Since), Sentence: r.Sentence}
}

type movedCameraRow struct {
	bun.BaseModel `bun:"table:moved_cameras"`
	Camera        understudy.CameraID `bun:",pk"`
	Homes         []understudy.ServerID
}

func (r movedCameraRow) moved() understudy.MovedCamera {
	return understudy.MovedCamera{Camera: r.Camera, From: r.Homes}
}

type lockRow struct {
	bun.BaseModel `bun:"table:locks"`
	ID            string `bun:",pk"`
	Camera        understudy.CameraID
	Start         int64
	Finish        int64
	Owner         string
	Reason        string
	Until         int64
}

func lockToRow(l understudy.Lock) lockRow {
	return lockRow{ID: l.ID, Camera: l.Camera, Start: micros(l.From), Finish: micros(l.To), Owner: l.Owner, Reason: l.Reason, Until: micros(l.Until)}
}

func (r lockRow) lock() understudy.Lock {
	return understudy.Lock{ID: r.ID, Camera: r.Camera, From: instant(r.Start), To: instant(r.Finish), Owner: r.Owner, Reason: r.Reason, Until: instant(r.Until)}
}

type triggerRow struct {
	bun.BaseModel `bun:"table:triggers"`
	ID            string `bun:",pk"`
	Told          int64
	Content       understudy.Trigger
}

func triggerToRow(t management.TriggerRecord) triggerRow {
	return triggerRow{ID: t.Trigger.ID, Told: micros(t.Told), Content: t.Trigger}
}

func (r triggerRow) trigger() management.TriggerRecord {
	return management.TriggerRecord{Trigger: r.Content, Told: instant(r.Told)}
}

type preflightRow struct {
	bun.BaseModel `bun:"table:preflights"`
	Server        understudy.ServerID `bun:",pk"`
	Content       understudy.Preflight
}

func (r preflightRow) preflight() understudy.Preflight { return r.Content }

type revocationRow struct {
	bun.BaseModel `bun:"table:revocations"`
	Server        understudy.ServerID `bun:",pk"`
	MadeBefore    int64
	Reason        string
}

func (r revocationRow) revocation() understudy.Revocation {
	return understudy.Revocation{Server: r.Server, Before: instant(r.MadeBefore), Reason: r.Reason}
}

// recallRow is found by a hash: names of users who have no account may be long.
type recallRow struct {
	bun.BaseModel `bun:"table:recalls"`
	Hash          []byte `bun:",pk"`
	Account       string
	MadeBefore    int64
}

func recallToRow(r understudy.Recall) recallRow {
	hash := sha256.Sum256([]byte(r.User))
	return recallRow{Hash: hash[:], Account: r.User, MadeBefore: micros(r.Before)}
}

func (r recallRow) recall() understudy.Recall {
	return understudy.Recall{User: r.Account, Before: instant(r.MadeBefore)}
}

type claimRow struct {
	bun.BaseModel `bun:"table:claims"`
	ID            string `bun:",pk"`
	Digest        []byte
	At            int64
	Seq           uint64
	Granted       []understudy.Lease
	Refused       []understudy.Refusal
}

func claimToRow(c management.ClaimRecord) claimRow {
	return claimRow{ID: c.ID, Digest: c.Digest[:], At: micros(c.At), Seq: c.Seq, Granted: c.Granted, Refused: c.Refused}
}

func (r claimRow) claim() management.ClaimRecord {
	c := management.ClaimRecord{ID: r.ID, At: instant(r.At), Seq: r.Seq, Granted: r.Granted, Refused: r.Refused}
	copy(c.Digest[:], r.Digest)
	return c
}

type accountRow struct {
	bun.BaseModel `bun:"table:accounts"`
	Name          string `bun:",pk"`
	Role          understudy.UserRole
	Cameras       []understudy.CameraID
	CameraGroups  []understudy.CameraGroupID
	Also          []understudy.Grant
	Created       int64
	Hash          string
	Second        management.Second
}

func accountToRow(a management.Account) accountRow {
	return accountRow{Name: a.User.Name, Role: a.User.Role, Cameras: orEmpty(a.User.Cameras), CameraGroups: orEmpty(a.User.CameraGroups), Also: orEmpty(a.User.Also),
		Created: micros(a.User.Created), Hash: a.Hash, Second: a.Second}
}

func (r accountRow) account() management.Account {
	return management.Account{Hash: r.Hash, Second: r.Second, User: understudy.User{Name: r.Name, Role: r.Role, Cameras: r.Cameras,
		CameraGroups: orNil(r.CameraGroups), Also: orNil(r.Also), Created: instant(r.Created)}}
}

type cameraGroupRow struct {
	bun.BaseModel `bun:"table:camera_groups"`
	ID            understudy.CameraGroupID `bun:",pk"`
	Name          string
	Cameras       []understudy.CameraID
}

func (r cameraGroupRow) group() understudy.CameraGroup {
	return understudy.CameraGroup{ID: r.ID, Name: r.Name, Cameras: r.Cameras}
}

type roleRow struct {
	bun.BaseModel `bun:"table:roles"`
	Name          understudy.UserRole `bun:",pk"`
	Actions       []understudy.Action
}

func (r roleRow) role() understudy.SiteRole {
	return understudy.SiteRole{Name: r.Name, Actions: r.Actions}
}

// orEmpty makes of a nil list, which would be null, an empty one.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// orNil makes of an empty list what was left out.
func orNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

type tokenRow struct {
	bun.BaseModel `bun:"table:tokens"`
	Hash          []byte `bun:",pk"`
	Purpose       management.Purpose
	Account       string
	Server        understudy.ServerID
	Role          understudy.Role
	Created       int64
	Expires       int64
	Used          int64
	UsedBy        []byte
	Visitor       understudy.Identity // of an account there is none
	Address       string
}

func tokenToRow(t management.Token) tokenRow {
	row := tokenRow{Hash: t.Hash[:], Purpose: t.Purpose, Account: t.User, Server: t.Server, Role: t.Role,
		Created: micros(t.Created), Expires: micros(t.Expires), Used: micros(t.Used), UsedBy: t.UsedBy[:], Address: t.Address}
	if t.Visitor != nil {
		row.Visitor = *t.Visitor
	}
	return row
}

func (r tokenRow) token() management.Token {
	t := management.Token{Purpose: r.Purpose, User: r.Account, Server: r.Server, Role: r.Role,
		Created: instant(r.Created), Expires: instant(r.Expires), Used: instant(r.Used), Address: r.Address}
	copy(t.Hash[:], r.Hash)
	copy(t.UsedBy[:], r.UsedBy)
	if r.Visitor.User != "" {
		t.Visitor = &r.Visitor
	}
	return t
}
