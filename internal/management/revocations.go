package management

import (
	"context"
	"fmt"
	"time"

	"understudy"
)

// RevokeServer makes the certificates that a server has had so far worthless.
func (m *Management) RevokeServer(ctx context.Context, id understudy.ServerID, reason string) (understudy.Revocation, error) {
	if err := understudy.ValidateID("server", id); err != nil {
		return understudy.Revocation{}, err
	}
	if err := validReason(reason); err != nil {
		return understudy.Revocation{}, err
	}
	if id == understudy.ServerID(understudy.RoleManagement) {
		return understudy.Revocation{}, understudy.Errorf(understudy.CodeInvalid, "a management server's certificate is not revoked: it holds the CA itself; install the site anew where that was stolen")
	}
	var revoked *understudy.Revocation
	err := m.update(ctx, func(tx *change) error {
		revoked = revocation(id, tx.now, oneSentence(reason))
		return tx.record(understudy.Event{
			Kind: understudy.EventAccess, Server: id, Changes: []understudy.Change{{Revoked: revoked}},
			Sentence: fmt.Sprintf("The certificates of %s were revoked (%s). It has to join again.", id, revoked.Reason),
		})
	})
	if err != nil {
		return understudy.Revocation{}, err
	}
	return *revoked, nil
}

// revocation holds from the end of this second on: certificates tell to the second when
// they were made, and one of this second may be the one that is meant.
func revocation(id understudy.ServerID, now time.Time, reason string) *understudy.Revocation {
	return &understudy.Revocation{Server: id, Before: now.Truncate(time.Second).Add(time.Second), Reason: reason}
}

// RevokedShown notes that a certificate was shown that had been revoked. Who has it tries
// again and again, so that the same is told once a while.
func (m *Management) RevokedShown(ctx context.Context, id understudy.ServerID, from string) error {
	return m.alarm(ctx, id, fmt.Sprintf("Somebody at %s came with a certificate of %s that was revoked, and was refused: "+
		"it is the old machine, or a stolen or copied one.", from, id))
}

// CopyFound notes that somebody came as a server of which another process answers where the
// site has it, or as a service channel of which another is connected, and was refused. The same is told once a while.
func (m *Management) CopyFound(ctx context.Context, server understudy.Identity, from, at string) error {
	id := server.Server
	if server.Role == understudy.RoleChannel {
		return m.alarm(ctx, id, fmt.Sprintf("A machine at %s came as the service channel %s, of which another process is connected from %s: one is a copy of the other. "+
			"The one that came later was refused. Stop the copy; if nobody of yours has made it, `understudy server revoke %s`, and let it join again.", from, id, at, id))
	}
	return m.alarm(ctx, id, fmt.Sprintf("A machine at %s came as %s, and another answers as %s at %s: one is a copy of the other. "+
		"The one at %s was refused. Stop the copy; if nobody of yours has made it, `understudy server replace %s`.", from, id, id, at, from, id))
}

// NamelessCame notes that somebody came as a server without saying which process it is, and was
// refused. The same is told once a while.
func (m *Management) NamelessCame(ctx context.Context, id understudy.ServerID, from string) error {
	return m.alarm(ctx, id, fmt.Sprintf("Somebody at %s came as %s without saying which process it is, and was refused: it is no program of ours, "+
		"or one from before 29 November 2026. Upgrade %s; if it runs a newer one, somebody has its key: `understudy server replace %s`.", from, id, id, id))
}

// TwoAnswer notes that two machines answer as one server at its address. Neither can be told
// from the other there, and neither is refused. The same is told once a while.
func (m *Management) TwoAnswer(ctx context.Context, id understudy.ServerID, at string) error {
	return m.alarm(ctx, id, fmt.Sprintf("Two machines answer as %s at %s in turn: one is a copy of the other, and has its address too. "+
		"Stop the copy; if nobody of yours has made it, `understudy server replace %s`.", id, at, id))
}

func (m *Management) alarm(ctx context.Context, id understudy.ServerID, sentence string) error {
	sentence = oneSentence(sentence)
	return m.update(ctx, func(tx *change) error {
		if m.refusals.recent(sentence, tx.now) {
			return nil
		}
		tx.refusals = append(tx.refusals, sentence)
		return tx.record(understudy.Event{Kind: understudy.EventIdentity, Server: id, Sentence: sentence})
	})
}
