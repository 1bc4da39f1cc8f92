package understudy

import "context"

// Audit says whether the log is as it was written.
type Audit struct {
	First    uint64       `json:"first" doc:"The oldest event that is still there; 0: none is"`
	Last     uint64       `json:"last" doc:"The newest"`
	Chained  uint64       `json:"chained" doc:"The first that is chained: those before were written by an older version"`
	Known    uint64       `json:"known,omitempty" doc:"The newest that the management server knew of outside of the database; 0: none"`
	Faults   []AuditFault `json:"faults" doc:"What is not as it was written, the newest first; a hundred at most"`
	Sentence string       `json:"sentence"`
}

// AuditFault is a place in the log that is not as it was written.
type AuditFault struct {
	Event    uint64 `json:"event" doc:"The first event that does not follow from the one before"`
	Sentence string `json:"sentence"`
}

// AuditService looks through the log for what was changed or removed.
type AuditService interface {
	VerifyAudit(ctx context.Context) (Audit, error)
}
