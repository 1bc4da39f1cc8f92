package drill

import (
	"io"

	"understudy"
)

// What other rehearsals use of the account of frames, so that there is one.
type (
	// Frame is one video sample of an export.
	Frame = frame
	// Account is what became of one camera's frames.
	Account = account
	// Loss is a hole in an account.
	Loss = loss
)

// ReadFrames reads the frames of an export of a test camera.
func ReadFrames(file io.Reader, camera understudy.CameraID) ([]Frame, error) {
	return readFrames(file, camera)
}

// AccountStamped accounts for the frames of one life of a test camera, whose
// counter begins anew when it is started again.
func AccountStamped(frames []Frame) Account { return accountStamped(frames) }
