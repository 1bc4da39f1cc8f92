package understudy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// FailbackMode says when a recording server takes its part back by itself.
type FailbackMode string

// The modes of failback.
const (
	FailbackAutomatic FailbackMode = "automatic" // after the hold-down
	FailbackManual    FailbackMode = "manual"    // when an operator says so
	FailbackWindow    FailbackMode = "window"    // after the hold-down, within windows of the week
)

// FailbackPolicy says when a recording server takes its part back. The zero
// policy is automatic. An operator's word goes before it.
type FailbackPolicy struct {
	Mode    FailbackMode `json:"mode,omitempty" enum:"automatic,manual,window" doc:"Empty is automatic"`
	Windows string       `json:"windows,omitempty" maxLength:"500" example:"sun-thu 02:00-04:00" doc:"Of mode window: when the part may go home"`
	Zone    string       `json:"zone,omitempty" maxLength:"100" example:"Europe/Berlin" doc:"Time zone of the windows; empty is UTC"`
}

// Validate reports the first thing wrong with p.
func (p FailbackPolicy) Validate() error {
	switch p.Mode {
	case "", FailbackAutomatic, FailbackManual:
		if p.Windows != "" || p.Zone != "" {
			return Errorf(CodeInvalid, "windows and their time zone belong to failback window, not to %q", cmp.Or(p.Mode, FailbackAutomatic))
		}
		return nil
	case FailbackWindow:
	default:
		return Errorf(CodeInvalid, "a failback is automatic, manual or window, not %.40q", string(p.Mode))
	}
	windows, err := parseWindows(p.Windows)
	switch {
	case len(p.Windows) > maxWindowsText:
		return Errorf(CodeInvalid, "the windows of a failback may have %d bytes, found %d", maxWindowsText, len(p.Windows))
	case err != nil:
		return err
	case len(windows) == 0:
		return Errorf(CodeInvalid, "failback window needs a window, such as `sun-thu 02:00-04:00`")
	}
	for _, w := range windows {
		if w.bytesPerSecond > 0 {
			return Errorf(CodeInvalid, "a window of a failback has days and times, and no rate; found %.80q", p.Windows)
		}
	}
	if _, err := time.LoadLocation(p.Zone); err != nil {
		return Errorf(CodeInvalid, "a time zone is written as Europe/Berlin, found %.80q", p.Zone)
	}
	return nil
}

// Waits says why the part does not go home by itself now; empty when it may.
func (p FailbackPolicy) Waits(now time.Time) string {
	switch p.Mode {
	case FailbackManual:
		return "its failback is manual: `understudy failback` does it"
	case FailbackWindow:
		zone, err := time.LoadLocation(p.Zone)
		windows, bad := parseWindows(p.Windows)
		if err != nil || bad != nil { // one that was stored was valid
			return ""
		}
		for _, w := range windows {
			if w.has(now.In(zone)) {
				return ""
			}
		}
		return fmt.Sprintf("it goes home within %q (%s)", p.Windows, zone)
	}
	return ""
}

// HandOver is an order that stands: a failover server serves what a recording
// server records, and the recording server does not take it back.
type HandOver struct {
	To     ServerID  `json:"to" doc:"Failover server that takes the part over; empty, in an order, is the first that can"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero" doc:"Then the part goes home; left out, it stays until it is ordered back"`
	Reason string    `json:"reason,omitempty" maxLength:"500"`
	By     string    `json:"by,omitempty" doc:"Who ordered it"`
	Drill  bool      `json:"drill,omitempty" doc:"It is a rehearsal; its incident says so"`
}

// Stands reports whether the order counts at a moment.
func (o HandOver) Stands(now time.Time) bool {
	return !o.Since.IsZero() && (o.Until.IsZero() || now.Before(o.Until))
}

// String says it in words.
func (o HandOver) String() string {
	return fmt.Sprintf("handed over to %s by %s%s%s", o.To, o.By, until(o.Until), because(o.Reason))
}

// Maintenance is a time in which nobody takes a recording server's part over,
// unless it was handed over: somebody works on it and knows.
type Maintenance struct {
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitempty" maxLength:"500"`
	By     string    `json:"by,omitempty" doc:"Who ordered it"`
	// Reminded: the log has told that it ends soon.
	Reminded bool `json:"reminded,omitempty"`
}

// Stands reports whether it counts at a moment.
func (m Maintenance) Stands(now time.Time) bool { return now.Before(m.Until) }

// String says it in words.
func (m Maintenance) String() string {
	return fmt.Sprintf("under maintenance by %s%s%s", m.By, until(m.Until), because(m.Reason))
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + t.UTC().Format("2006-01-02 15:04 MST")
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

// TakesBack returns up to when what was taken over may go home on order: an
// operator has said so, or the hand-over has ended as it was ordered.
func (r RecordingServer) TakesBack(now time.Time) time.Time {
	if end := r.HandOver.Until; !end.IsZero() && !now.Before(end) && end.After(r.TakeBack) {
		return end
	}
	return r.TakeBack
}

// StandIn returns which failover server can take a recording server's part over
// on order: to, or the first that stands by when to is empty. CodeConflict, with
// what is in the way, if none can.
func (s Site) StandIn(home, to ServerID, seen []ServerStatus) (ServerID, error) {
	if _, ok := s.RecordingServer(home); !ok {
		return "", Errorf(CodeNotFound, "there is no recording server %q", string(home))
	}
	standbys := s.Standbys(Camera{Home: home})
	if to != "" {
		if !slices.Contains(standbys, to) {
			return "", Errorf(CodeInvalid, "%s may not stand in for %s: those who may are %v", to, home, standbys)
		}
		standbys = []ServerID{to}
	}
	why := errors.New("it has no standby; name one with `understudy server standby`")
	for _, id := range standbys {
		if why = s.cannotStandIn(home, id, seen); why == nil {
			return id, nil
		}
	}
	return "", Errorf(CodeConflict, "%s is not handed over, since nobody can take its part: %w", home, why)
}

// cannotStandIn says what is in a standby's way, nil when nothing is.
func (s Site) cannotStandIn(home, id ServerID, seen []ServerStatus) error {
	var status ServerStatus
	for _, one := range seen {
		if one.Server == id {
			status = one
		}
	}
	more := 0
	for _, c := range s.Cameras {
		if lease, _ := s.Lease(c.ID); c.Home == home && c.Failover != SupportNone && lease.Holder != id {
			more++
		}
	}
	server, _ := s.FailoverServer(id)
	serves := len(s.Holders()[id])
	switch {
	case !status.Reachable || status.State == nil:
		return fmt.Errorf("%s cannot be reached", id)
	case !status.State.Storage.Writable:
		return fmt.Errorf("the storage of %s is not writable (%s)", id, status.State.Storage.Sentence)
	case status.State.Leaving != "":
		return fmt.Errorf("%s is about to stop (%s)", id, status.State.Leaving)
	case server.Capacity.Cameras > 0 && serves+more > server.Capacity.Cameras:
		return fmt.Errorf("%s serves %d cameras, its capacity is %d, and these are %d more", id, serves, server.Capacity.Cameras, more)
	}
	return nil
}

// OrderService keeps an operator's orders about who plays a recording server's part.
type OrderService interface {
	// HandOver replaces the order that stands. CodeInvalid if To may not stand in.
	HandOver(ctx context.Context, home ServerID, o HandOver) (RecordingServer, error)
	// FailBack ends a hand-over and lets home take back at once what is elsewhere now.
	FailBack(ctx context.Context, home ServerID) (RecordingServer, error)
	// Maintain begins a maintenance, or ends it with a zero one.
	Maintain(ctx context.Context, home ServerID, m Maintenance) (RecordingServer, error)
}

// Served counts the cameras of a home that may be taken over, and those of them that holder serves.
func (s Site) Served(home, holder ServerID) (served, all int) {
	for _, c := range s.Cameras {
		if c.Home != home || c.Failover == SupportNone {
			continue
		}
		all++
		if lease, _ := s.Lease(c.ID); lease.Holder == holder {
			served++
		}
	}
	return served, all
}
