package understudy

import (
	"context"
	"net"
	"time"
)

// Role is what a server is in a site.
type Role string

// The roles.
const (
	RoleManagement Role = "management"
	RoleRecording  Role = "recording"
	RoleFailover   Role = "failover"
	RoleChannel    Role = "channel"
)

// Addresses are where a recording or failover server is reached, each host:port.
type Addresses struct {
	Media string `json:"media" doc:"Live and recorded video" example:"10.0.0.11:7563"`
	State string `json:"state" doc:"State polls" example:"10.0.0.11:11000"`
	Merge string `json:"merge,omitempty" doc:"Footage that comes home" example:"10.0.0.11:5210"`
}

// Validate reports the first address that is not host:port.
func (a Addresses) Validate() error {
	for name, address := range map[string]string{"media": a.Media, "state": a.State, "merge": a.Merge} {
		if address == "" && name == "merge" {
			continue
		}
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			return Errorf(CodeInvalid, "the %s address is host:port, such as 10.0.0.11:7563, and is %q", name, address)
		}
	}
	return nil
}

// Standby says how much of a takeover is done before the failure.
type Standby string

// The kinds of standby.
const (
	StandbyCold Standby = "cold" // the configuration comes with the claim's answer
	StandbyHot  Standby = "hot"  // the configuration is loaded: recording starts beside the claim
	// StandbyMirror: the streams are open and their last seconds are in memory, so that no frame is lost.
	StandbyMirror Standby = "mirror"
)

// RecordingServer records the cameras whose home it is.
type RecordingServer struct {
	ID        ServerID  `json:"id"`
	Name      string    `json:"name"`
	Addresses Addresses `json:"addresses"`
	// MirrorStandby keeps the streams of its cameras open, those excepted that name
	// a mirror of their own or allow one session only.
	MirrorStandby ServerID `json:"mirror_standby,omitempty" doc:"Failover server that mirrors this one: it loses no frame"`
	// HotStandby is a failover server of its own, loaded with its configuration.
	HotStandby ServerID `json:"hot_standby,omitempty" doc:"Failover server that is hot standby for this one"`
	// PrimaryGroup and SecondaryGroup stand in cold, in their order, after the mirror and the hot standby.
	PrimaryGroup   GroupID `json:"primary_group,omitempty" doc:"Failover group asked first"`
	SecondaryGroup GroupID `json:"secondary_group,omitempty" doc:"Failover group asked when none of the first can"`
	// Merge says how its footage comes home from those who stood in.
	Merge MergePolicy `json:"merge,omitzero"`
	// Failback says when it takes its part back by itself.
	Failback FailbackPolicy `json:"failback,omitzero"`
	// HandOver, Maintenance and TakeBack are orders; OrderService changes them, and nothing else.
	HandOver    HandOver    `json:"hand_over,omitzero"`
	Maintenance Maintenance `json:"maintenance,omitzero"`
	TakeBack    time.Time   `json:"take_back,omitzero" doc:"What was taken over before this may go home at once: an operator said so"`
}

// FailoverServer stands in for recording servers.
type FailoverServer struct {
	ID        ServerID  `json:"id"`
	Name      string    `json:"name"`
	Addresses Addresses `json:"addresses"`
	// Capacity bounds what it carries; the cameras of the highest priority come first.
	Capacity Capacity `json:"capacity,omitzero"`
}

// FailoverGroup is failover servers in the order in which they are asked.
type FailoverGroup struct {
	ID      GroupID    `json:"id"`
	Name    string     `json:"name"`
	Members []ServerID `json:"members"`
}

// ServerStatus is what the management server last saw of a server.
type ServerStatus struct {
	Server    ServerID  `json:"server"`
	Reachable bool      `json:"reachable"`
	Since     time.Time `json:"since" doc:"Since when it is reachable or not"`
	Sentence  string    `json:"sentence" doc:"What was seen, in one sentence"`
	State     *State    `json:"state,omitempty" doc:"The last answer to a state poll"`
}

// ServerService keeps the servers and groups of a site.
type ServerService interface {
	// Site returns everything but history: cameras, servers, groups, leases.
	Site(ctx context.Context) (Site, error)
	// PutRecordingServer creates or replaces; CodeInvalid if what it refers to does not exist.
	PutRecordingServer(ctx context.Context, s RecordingServer) (RecordingServer, error)
	PutFailoverServer(ctx context.Context, s FailoverServer) (FailoverServer, error)
	PutGroup(ctx context.Context, g FailoverGroup) (FailoverGroup, error)
	// DeleteServer is CodeConflict while cameras live there, leases are held or a group names it.
	DeleteServer(ctx context.Context, id ServerID) error
	// RevokeServer makes the certificates that a server has had so far worthless; it may
	// join again. Of a server that is not in the site too: it may have been.
	RevokeServer(ctx context.Context, id ServerID, reason string) (Revocation, error)
	DeleteGroup(ctx context.Context, id GroupID) error
}
