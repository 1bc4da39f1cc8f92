package understudy

import "time"

// Poll is one question on the state port. The observer says which of the
// polled server's cameras it has durably recorded by itself, so that a server
// that leaves knows when it may.
type Poll struct {
	Observer ServerID   `json:"observer"`
	Covered  []CameraID `json:"covered,omitempty"`
	// Crowded are the cameras that have no session left for the observer: one that
	// was handed over to it is given up for it.
	Crowded []CameraID `json:"crowded,omitempty"`
}

// BootHeader is the HTTP header in which a server names its process (State.Boot) to the
// management server.
const BootHeader = "Understudy-Boot"

// State is the answer on the state port. It is made from progress (frames in,
// watermarks moved, storage writable), not from "the process is up".
type State struct {
	Server ServerID `json:"server"`
	Role   Role     `json:"role"`
	// Boot is new at every start of the process.
	Boot    string    `json:"boot"`
	Started time.Time `json:"started"`
	At      time.Time `json:"at" doc:"The server's own wall clock"`
	// Running is how long the process has run, by a clock that nobody sets: two
	// answers of one boot are put in order by it.
	Running time.Duration `json:"running" doc:"Nanoseconds that the process has run, by a clock that nobody sets"`
	// Epoch is the highest it has ever seen.
	Epoch uint64 `json:"epoch"`
	// Leaving, when not empty, says why the server is about to stop on purpose:
	// it records until somebody covers its cameras.
	Leaving string `json:"leaving,omitempty"`
	// SignedBy is the CA that has signed the server's certificate, and Trusts are those that
	// it believes: two while the CA is exchanged (CA.Signs). Empty from older versions.
	SignedBy string   `json:"signed_by,omitempty" doc:"CA that has signed the server's certificate"`
	Trusts   []string `json:"trusts,omitempty" doc:"CAs that the server believes"`
	// CutOff counts the viewers and readers that were cut off because they took
	// nothing for too long, since the server started.
	CutOff  uint64        `json:"cut_off" doc:"Readers of video that were cut off for slowness since the server started"`
	Storage StorageState  `json:"storage"`
	Cameras []CameraState `json:"cameras"`
	// Seen are the servers that a failover server watches and found well when it
	// last heard them: another one that hears nothing of them doubts itself.
	Seen []Sighting `json:"seen,omitempty" doc:"Servers that this one watches and found well"`
	// Short names cameras that this server holds or should take, and has no
	// capacity for: whoever else may stand in for them takes them.
	Short []CameraID `json:"short,omitempty" doc:"Cameras that it is short of capacity for"`
	// Transfers are of footage on its way home, from here or to here.
	Transfers []Transfer `json:"transfers,omitempty"`
}

// Sighting is an answer of another server, as whoever heard it tells of it.
type Sighting struct {
	Server  ServerID      `json:"server"`
	Boot    string        `json:"boot"`
	At      time.Time     `json:"at" doc:"That server's own wall clock when it answered"`
	Running time.Duration `json:"running" doc:"How long that server had run when it answered, in nanoseconds"`
	Age     time.Duration `json:"age" doc:"How long ago it answered, in nanoseconds"`
}

// StorageState is the condition of a server's media database.
type StorageState struct {
	Writable bool   `json:"writable" doc:"In at least one folder"`
	Sentence string `json:"sentence,omitempty" doc:"What is wrong, and what to do; empty when nothing is"`
	// Incarnation is made of those of the folders, each made with its folder: a
	// reformatted disk has another, and so has a store of which a disk is away.
	Incarnation      string `json:"incarnation"`
	UsedBytes        int64  `json:"used_bytes"`
	FreeBytes        int64  `json:"free_bytes"`
	UnmergedSegments int    `json:"unmerged_segments" doc:"Segments that belong to another server and have not gone home"`
	UnmergedBytes    int64  `json:"unmerged_bytes"`
	// Folders of the store, also those that could not be opened.
	Folders []FolderState `json:"folders,omitempty"`
	// Archive is where old footage goes, if that was configured.
	Archive *ArchiveState `json:"archive,omitempty"`
}

// ArchiveState is the condition of an archive as one server sees it.
type ArchiveState struct {
	Where     string `json:"where" doc:"Endpoint, bucket and prefix" example:"https://s3.example.com/footage/site1"`
	Reachable bool   `json:"reachable"`
	Sentence  string `json:"sentence,omitempty" doc:"What is wrong, and what to do; empty when nothing is"`
	Segments  int    `json:"segments" doc:"Of this server's cameras that lie there"`
	Bytes     int64  `json:"bytes"`
	Waiting   int    `json:"waiting,omitempty" doc:"Segments whose time to move there has come"`
}

// FolderState is the condition of one folder of a media database, which is one disk.
type FolderState struct {
	Dir       string `json:"dir"`
	Writable  bool   `json:"writable"`
	Sentence  string `json:"sentence,omitempty" doc:"What is wrong, and what to do; empty when nothing is"`
	UsedBytes int64  `json:"used_bytes"`
	FreeBytes int64  `json:"free_bytes"`
}

// CameraState is the progress of one camera on one server.
type CameraState struct {
	Camera      CameraID `json:"camera"`
	Epoch       uint64   `json:"epoch"`
	Provisional bool     `json:"provisional,omitempty" doc:"The epoch was not granted yet: the management server has not answered"`
	Receiving   bool     `json:"receiving" doc:"A frame came within the last seconds"`
	Recording   bool     `json:"recording" doc:"The watermark moves"`
	Frames      uint64   `json:"frames" doc:"Frames received since the server started"`
	// BitsPerSecond is 0 until the camera has sent for 10 s.
	BitsPerSecond int64      `json:"bits_per_second,omitempty" doc:"Bit rate as received, over the last 10 to 20 s"`
	Stream        StreamKind `json:"stream,omitempty" enum:"main,sub" doc:"Which stream is taken; empty is the main one"`
	// Waiting: it is recorded on events, none is under way, and what an event
	// needs of the time before it is there. Such a camera is served. Buffered
	// moves from its first key frame on.
	Waiting   bool      `json:"waiting,omitempty" doc:"Records on events, waits for one, and has the time before it in memory"`
	Buffered  Watermark `json:"buffered,omitzero" doc:"Newest sample in memory of a camera that is recorded on events, while none is under way; not durable"`
	Watermark Watermark `json:"watermark"`
	// Run tells a mirror that frames may be missing before the watermark.
	Run uint64 `json:"run,omitempty" doc:"Counts how often the recording began anew since the server started"`
	// Mirrored: another server records it, and Held is what it may lose, in memory.
	Mirrored bool  `json:"mirrored,omitempty" doc:"Another server records it; what that one may lose is in memory here"`
	Held     int64 `json:"held_bytes,omitempty" doc:"Bytes of samples that wait in memory"`
	// Complete: a takeover now would lose nothing of it.
	Complete bool `json:"complete,omitempty" doc:"Mirrored, and all that the other server may lose is in memory here"`
	// Crowded: whoever holds its session and need not, gives it up.
	Crowded bool   `json:"crowded,omitempty" doc:"The camera answers, and has no session left for this server"`
	Fault   string `json:"fault,omitempty" doc:"What is wrong, in one sentence"`
}

// Newest is the sample that shows how far the server has come with the camera:
// the last durable one or, of a camera that waits for an event, the last in memory.
func (c CameraState) Newest() Watermark {
	if c.Buffered.At.After(c.Watermark.At) {
		return c.Buffered
	}
	return c.Watermark
}

// Watermark is the last sample of a camera that is durable, named by its hash.
type Watermark struct {
	At   time.Time  `json:"at" doc:"Capture time"`
	Hash SampleHash `json:"hash"`
}
