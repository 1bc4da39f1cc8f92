package understudy

import (
	"context"
	"encoding/json"
)

type askerKey struct{}

// WithAsker returns a context in which i is asking. Services take the actor of
// events, and the address that sign-ins are counted by, from it.
func WithAsker(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, askerKey{}, i)
}

// Asker returns who is asking in ctx; the zero Identity where nobody was named.
func Asker(ctx context.Context) Identity {
	i, _ := ctx.Value(askerKey{}).(Identity)
	return i
}

// JoinRequest asks for a certificate of an installation: of a new server, which
// shows the secret of a join token, or of a member that renews its own, which
// shows the certificate it has.
type JoinRequest struct {
	Secret  Secret `json:"secret,omitempty" doc:"One-time secret of a join token; empty to renew" maxLength:"200"`
	Request string `json:"request" doc:"Certificate request, PEM" maxLength:"16384"`
	// Role is what the server is about to be; a token for another is refused and stays good.
	Role Role `json:"role,omitempty" doc:"What the server is to be" enum:"recording,failover,channel"`
	// Hosts are the names and addresses that clients and servers dial.
	Hosts     []string  `json:"hosts" maxItems:"50"`
	Name      string    `json:"name,omitempty" doc:"Name for people" maxLength:"200"`
	Addresses Addresses `json:"addresses,omitzero" doc:"Where a recording or failover server is reached"`
}

// JoinAnswer makes a server a member of the installation.
type JoinAnswer struct {
	Server      ServerID `json:"server"`
	Role        Role     `json:"role"`
	Certificate string   `json:"certificate" doc:"PEM"`
	// Trust is whom the members trust, for the identity package to read.
	Trust json.RawMessage `json:"trust"`
}
