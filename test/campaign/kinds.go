package main

import (
	"slices"
	"time"

	"understudy"
)

// kind is a kind of fault: one row of the table.
type kind struct {
	name  string
	does  string // what is done, and how it is cured
	modes []understudy.Standby
	acts  []act
	never bool // nobody may be stood in for

	spare     bool     // there is a second failover server
	neighbour bool     // there is a second recording server
	disks     []string // servers whose footage lies on a disk that fails as it is told
	mounted   bool     // the recording server's disk can be unmounted
	segment   string   // length of a file; empty is the default
	sessions  int      // that a camera allows at a time; 0 is no limit
	crowd     int      // so many cameras on one machine, instead of a few on machines of their own
	mergeRate int64    // bytes a second; 0 is no limit
}

// The modes of standby, and which of them differ where the recording server does not fail.
var (
	everyMode  = []understudy.Standby{understudy.StandbyMirror, understudy.StandbyHot, understudy.StandbyCold}
	hotOnly    = []understudy.Standby{understudy.StandbyHot}
	mirrorOnly = []understudy.Standby{understudy.StandbyMirror}
)

// How long a hole may be by its cause: what is not durable yet (a sync a
// second), the decision, the session and the wait for a key frame, on a machine
// that is busy with several sites.
const (
	fast      = 4 * time.Second // the connection is refused
	silent    = 7 * time.Second // nothing is heard
	sick      = 20 * time.Second
	coldExtra = time.Second
	// sessionExpiry is how long a camera keeps the session of a client that is gone.
	sessionExpiry = 4 * time.Second
)

// kinds is the table.
var kinds = slices.Concat(recordingKinds, linkKinds, diskKinds, cameraKinds, failoverKinds, managementKinds, pairKinds)

func kindNamed(name string) (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// The machines.
const (
	mgt = "management"
	rec = "rec1"
	fo  = "fo1"
	fo2 = "fo2"

	crowd = "cameras"
)

// every is all cameras.
var every []understudy.CameraID

// backHome is how most kinds end: the recording server is started, records, and gets its part back.
func backHome() act { return all(pause(2*time.Second), start(rec), records(rec)) }

var recordingKinds = []kind{
	{
		name: "kill", does: "the recording server is killed; started again after the takeover",
		modes: everyMode, acts: []act{strike(takeover, fast, every, kill(rec), records(fo)), backHome()},
	},
	{
		name: "hang", does: "the recording server stands still (SIGSTOP); goes on after the takeover",
		modes: everyMode, acts: []act{strike(takeover, silent, every, hang(rec), records(fo)), pause(2 * time.Second), resume(rec)},
	},
	{
		name: "stop", does: "the recording server is stopped in order (SIGTERM); started again",
		modes: everyMode, acts: []act{stop(rec), records(fo), backHome()},
	},
	{
		name: "power", does: "the recording server loses power: no word to anybody, unsynced data is lost; switched on again",
		modes: everyMode, disks: []string{rec},
		acts: []act{powerCut()},
	},
	{
		name: "power-of-8", does: "the recording server of 8 cameras loses power; switched on again",
		modes: mirrorOnly, disks: []string{rec}, crowd: 8, acts: []act{powerCut()},
	},
	{
		name: "power-of-100", does: "the recording server of 100 cameras loses power; switched on again",
		modes: mirrorOnly, disks: []string{rec}, crowd: 100, acts: []act{powerCut()},
	},
	{
		name: "restart", does: "the recording server is killed and started again at once",
		modes: everyMode, acts: []act{strike(takeover, fast, every, kill(rec), start(rec), records(rec))}, never: true,
	},
	{
		name: "flap", does: "the recording server is killed three times, each time soon after it records again",
		modes: everyMode, acts: []act{flap(), flap(), flap()},
	},
	{
		name: "stutter", does: "the recording server stands still for 0.6 s, three times",
		modes: hotOnly, never: true, acts: []act{stutter(rec, 600*time.Millisecond), stutter(rec, 600*time.Millisecond), stutter(rec, 600*time.Millisecond)},
	},
	{
		name: "long-hang", does: "the recording server stands still for 12 s; goes on",
		modes: everyMode, acts: []act{strike(takeover, silent, every, hang(rec), records(fo)), pause(8 * time.Second), resume(rec)},
	},
	{
		name: "return-early", does: "the recording server is killed, and started again while the failover server takes over",
		modes: everyMode, acts: []act{strike(takeover, fast, every, kill(rec), moment(200*time.Millisecond, 1500*time.Millisecond), start(rec), records(rec))},
	},
}

// powerCut takes the recording server's power, and gives it back when it has been stood in for.
func powerCut() act {
	return all(strike(takeover, silent, every, powerOff(rec), records(fo)), pause(2*time.Second), powerOn(rec), records(rec))
}

func flap() act {
	return all(strike(takeover, fast, every, kill(rec), moment(100*time.Millisecond, 2*time.Second), start(rec), records(rec)), moment(0, 3*time.Second))
}

func stutter(name string, length time.Duration) act {
	return all(hang(name), pause(length), resume(name), pause(time.Second))
}
