package understudy

import "time"

// Revocation says that the certificates of a server which were made before a time are
// believed no more: it was removed, stolen, copied, or replaced by another machine, which
// has joined since under the same id.
type Revocation struct {
	Server ServerID  `json:"server"`
	Before time.Time `json:"before" doc:"Certificates that were made before are believed no more"`
	Reason string    `json:"reason"`
}
