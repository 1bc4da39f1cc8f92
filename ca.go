package understudy

import "context"

// CAStep is a step of the exchange of the installation's CA.
type CAStep string

// The steps, in their order. Between them servers go on as they are, each with a certificate
// of either CA.
const (
	CANew    CAStep = "new"    // make the next CA: servers believe it, and it signs nothing yet
	CAUse    CAStep = "use"    // it signs, and servers get certificates of it
	CARetire CAStep = "retire" // the old one is believed no more
)

// CA says which CA signs the certificates of servers, and how far its exchange is. A CA is
// named by the beginning of its certificate's SHA-256, 16 hexadecimal digits.
type CA struct {
	Signs    string     `json:"signs" doc:"Which signs the certificates of servers now"`
	Next     string     `json:"next,omitempty" doc:"Which will sign after it, and is believed already"`
	Old      string     `json:"old,omitempty" doc:"Which signed before it, and is still believed"`
	Step     CAStep     `json:"step" enum:"new,use,retire" doc:"The step that comes next"`
	Servers  []CAServer `json:"servers" doc:"The recording and failover servers of the site"`
	Sentence string     `json:"sentence"`
}

// CAServer is one server in the exchange of the CA.
type CAServer struct {
	Server   ServerID `json:"server"`
	Ready    bool     `json:"ready" doc:"It goes on after the next step without anybody's doing"`
	Sentence string   `json:"sentence"`
}

// CAService exchanges the CA.
type CAService interface {
	CA(ctx context.Context) (CA, error)
	// ChangeCA takes a step. CodeConflict when another one is due, and when servers are not
	// ready for it, unless forced: those have to join again.
	ChangeCA(ctx context.Context, step CAStep, force bool) (CA, error)
}
