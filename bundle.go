package understudy

import (
	"context"
	"time"
)

// Bundle is all that one failover server needs to record the cameras of one
// home, credentials included, made beforehand for the day on which nobody can be
// asked. It is encrypted to that server alone and signed by the site's authority.
type Bundle struct {
	Server ServerID `json:"server" doc:"Failover server that alone can open it"`
	Home   ServerID `json:"home" doc:"Recording server whose cameras are in it"`
	// Seq and Made order the bundles of a home: the newer one is higher in one of
	// them. Both may go back, Seq with a restored database and Made with a clock.
	Seq       uint64    `json:"seq" doc:"Event after which it was made"`
	Made      time.Time `json:"made"`
	Signer    string    `json:"signer" doc:"Id of the authority's key that signed it"`
	Sealed    []byte    `json:"sealed" doc:"The assignment, encrypted (HPKE, RFC 9180)"`
	Signature []byte    `json:"signature" doc:"Of everything else in it (Ed25519ctx, RFC 8032)"`
}

// BundleService makes bundles.
type BundleService interface {
	// Bundles returns one for each home that a failover server may have to play,
	// by home's id, sealed to the key that the server gives
	// (identity.Node.BundleKey). While nothing changes they stay the same.
	Bundles(ctx context.Context, server ServerID, key []byte) ([]Bundle, error)
}
