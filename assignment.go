package understudy

import "context"

// AssignedCamera is all that a server needs to record one camera.
type AssignedCamera struct {
	Camera      Camera      `json:"camera"`
	Credentials Credentials `json:"credentials"`
	Epoch       uint64      `json:"epoch"`
	Record      bool        `json:"record" doc:"false: serve live only"`
}

// Assignment is all that a server needs to record a set of cameras. What runs
// is made equal to it; applying the same one twice changes nothing.
type Assignment struct {
	Server  ServerID         `json:"server"`
	Seq     uint64           `json:"seq" doc:"Event after which it was made; a lower one is older"`
	Cameras []AssignedCamera `json:"cameras"`
}

// Duty is a recording server that a failover server may have to play.
type Duty struct {
	Home    RecordingServer `json:"home"`
	Standby Standby         `json:"standby"`
	Rank    int             `json:"rank" doc:"0 is asked first; a higher one waits for those before it"`
	// Cameras lists what would be taken over (support full or live), with the
	// epochs now. In cold standby it has ids, epochs and addresses but no credentials.
	Cameras []AssignedCamera `json:"cameras"`
}

// AssignmentService tells servers what is theirs to do.
type AssignmentService interface {
	// Assignment returns what a recording server has at home, whoever holds the leases.
	Assignment(ctx context.Context, server ServerID) (Assignment, error)
	// Duties returns whom a failover server may have to play, by home's id.
	Duties(ctx context.Context, server ServerID) ([]Duty, error)
}
