package understudy

import (
	"context"
	"slices"
	"time"
)

// Preflight is what a failover server has proven, before any failure, of its
// ability to play the recording servers that it may have to play.
type Preflight struct {
	Server ServerID      `json:"server"`
	At     time.Time     `json:"at" doc:"When it ended"`
	Took   time.Duration `json:"took" doc:"How long it took, in nanoseconds"`
	Homes  []ServerID    `json:"homes" maxItems:"1000" doc:"Recording servers that it may have to play"`
	// Cameras counts those that were tried, Reached those that were found as they must be.
	Cameras  int       `json:"cameras"`
	Reached  int       `json:"reached"`
	Findings []Finding `json:"findings" maxItems:"20000"`
}

// Finding is one thing that would be in the way of a takeover.
type Finding struct {
	// Home whose takeover it concerns; empty: any.
	Home   ServerID `json:"home,omitempty"`
	Camera CameraID `json:"camera,omitempty"`
	About  Concern  `json:"about" enum:"camera,credentials,codec,sessions,capacity,memory,disk,processor"`
	// Red: something would not be recorded. Else it would be, with less, or it cannot be proven now.
	Red      bool   `json:"red" doc:"Something would not be recorded"`
	Sentence string `json:"sentence" maxLength:"2000" doc:"What was expected, what was found, what to do"`
}

// Concern is what a finding is about.
type Concern string

// The concerns.
const (
	AboutCamera      Concern = "camera"      // it cannot be reached, or does not answer as a camera
	AboutCredentials Concern = "credentials" // it refuses them, or they are not known yet
	AboutCodec       Concern = "codec"       // it sends nothing that is known here
	AboutSessions    Concern = "sessions"
	AboutCapacity    Concern = "capacity"
	AboutMemory      Concern = "memory"
	AboutDisk        Concern = "disk"
	AboutProcessor   Concern = "processor"
)

// Same reports whether two findings are one, however it is worded.
func (f Finding) Same(o Finding) bool {
	f.Sentence, o.Sentence = "", ""
	return f == o
}

// Red reports whether something is in the way of the takeover of a home; of no
// home in particular, of any.
func (p Preflight) Red(home ServerID) bool {
	return slices.ContainsFunc(p.Findings, func(f Finding) bool {
		return f.Red && (home == "" || f.Home == "" || f.Home == home)
	})
}

// Only returns what an identity may see of it: findings about cameras that visible accepts.
func (p Preflight) Only(visible func(CameraID) bool) Preflight {
	p.Findings = slices.DeleteFunc(slices.Clone(p.Findings), func(f Finding) bool { return f.Camera != "" && !visible(f.Camera) })
	return p
}

// PreflightService keeps the latest pre-flight of each failover server.
type PreflightService interface {
	// PutPreflight replaces the server's latest one. What appears in it and what
	// has gone from it stands in the event log.
	PutPreflight(ctx context.Context, p Preflight) error
	// Preflights returns the latest of each failover server, by its id.
	Preflights(ctx context.Context) ([]Preflight, error)
}
