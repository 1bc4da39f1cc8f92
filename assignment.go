package understudy

import "context"

// AssignedCamera is all that a server needs to record one camera.
type AssignedCamera struct {
	Camera      Camera      `json:"camera"`
	Credentials Credentials `json:"credentials"`
	Epoch       uint64      `json:"epoch"`
	// Provisional: the epoch was not granted. It is what a claim would be
	// granted by a management server that has not answered yet.
	Provisional bool       `json:"provisional,omitempty" doc:"The epoch was not granted yet"`
	Record      bool       `json:"record" doc:"false: serve live only"`
	Stream      StreamKind `json:"stream,omitempty" enum:"main,sub" doc:"Which stream is taken; empty is the main one"`
	// Mirror: another server records it. The stream is open, and what that server
	// may not have on its disk yet is in memory.
	Mirror bool `json:"mirror,omitempty" doc:"Another server records it: keep what it may lose in memory"`
}

// URL is the address of the stream that is to be taken.
func (a AssignedCamera) URL() string {
	if a.Stream == StreamSub && a.Camera.Sub != "" {
		return a.Camera.Sub
	}
	return a.Camera.URL
}

// Assignment is all that a server needs to record a set of cameras. What runs
// is made equal to it; applying the same one twice changes nothing.
type Assignment struct {
	Server  ServerID         `json:"server"`
	Seq     uint64           `json:"seq" doc:"Event after which it was made; a lower one is older"`
	Cameras []AssignedCamera `json:"cameras"`
	// Short names cameras that should be in it, and that the server is short of capacity for.
	Short []CameraID `json:"short,omitempty"`
}

// Duty is a recording server that a failover server may have to play, for some
// of its cameras or for all.
type Duty struct {
	Home RecordingServer `json:"home"`
	// Cameras lists what would be taken over (support full or live), with the epochs now.
	Cameras []StandbyCamera `json:"cameras"`
}

// StandbyCamera is a camera that a failover server may have to record, and how
// it stands by for it. In cold standby it has no credentials.
type StandbyCamera struct {
	AssignedCamera
	Standby Standby `json:"standby" enum:"cold,hot,mirror" doc:"How much of a takeover is done before the failure"`
	Rank    int     `json:"rank" doc:"0 is asked first; a higher one waits for those before it"`
}

// AssignmentService tells servers what is theirs to do.
type AssignmentService interface {
	// Assignment returns what a recording server has at home, whoever holds the leases.
	Assignment(ctx context.Context, server ServerID) (Assignment, error)
	// Duties returns whom a failover server may have to play, by home's id.
	Duties(ctx context.Context, server ServerID) ([]Duty, error)
}
