package management

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"understudy"
)

// issuer holds the CAs of the installation; identity.Authority is one.
type issuer interface {
	// CA returns the ids of the one that signs, of the one that will and of the one that did.
	CA() (signs, next, old string)
	AnnounceCA() error
	UseCA() error
	RetireCA() error
}

func (m *Management) canExchange() error {
	if m.issuer == nil || m.witness == nil {
		return understudy.Errorf(understudy.CodeUnavailable, "this management server holds no CA")
	}
	return nil
}

// CA says how far the exchange of the CA is, as the servers of the site answer now.
func (m *Management) CA(ctx context.Context) (understudy.CA, error) {
	if err := m.canExchange(); err != nil {
		return understudy.CA{}, err
	}
	site, err := m.Site(ctx)
	if err != nil {
		return understudy.CA{}, err
	}
	var servers []understudy.ServerID
	for id := range site.MediaServers() {
		servers = append(servers, id)
	}
	slices.Sort(servers)
	answers := map[understudy.ServerID]understudy.State{}
	for _, state := range m.witness.Ask(ctx, servers) {
		answers[state.Server] = state
	}
	ca := understudy.CA{Step: understudy.CANew, Servers: []understudy.CAServer{}}
	ca.Signs, ca.Next, ca.Old = m.issuer.CA()
	switch {
	case ca.Next != "":
		ca.Step = understudy.CAUse
	case ca.Old != "":
		ca.Step = understudy.CARetire
	}
	for _, id := range servers {
		state, answered := answers[id]
		ca.Servers = append(ca.Servers, inExchange(ca, id, state, answered))
	}
	ca.Sentence = exchanged(ca)
	return ca, nil
}

// inExchange says whether a server is ready for the next step.
func inExchange(ca understudy.CA, id understudy.ServerID, state understudy.State, answered bool) understudy.CAServer {
	s := understudy.CAServer{Server: id}
	switch {
	case !answered:
		s.Sentence = fmt.Sprintf("%s does not answer", id)
	case state.SignedBy == "":
		s.Sentence = fmt.Sprintf("%s is of an older version, which does not say whom it believes; upgrade it", id)
	case ca.Next != "" && !slices.Contains(state.Trusts, ca.Next):
		s.Sentence = fmt.Sprintf("%s does not believe the new CA yet", id)
	case ca.Old != "" && state.SignedBy != ca.Signs:
		s.Sentence = fmt.Sprintf("%s still has a certificate of the old CA", id)
	case ca.Next != "":
		s.Ready, s.Sentence = true, fmt.Sprintf("%s believes both", id)
	default:
		s.Ready, s.Sentence = true, fmt.Sprintf("%s has a certificate of the CA that signs", id)
	}
	return s
}

// behind are the servers that are not ready, in their words.
func behind(ca understudy.CA) []string {
	var all []string
	for _, s := range ca.Servers {
		if !s.Ready {
			all = append(all, s.Sentence)
		}
	}
	return all
}

func exchanged(ca understudy.CA) string {
	waiting := behind(ca)
	switch {
	case ca.Step == understudy.CANew:
		return fmt.Sprintf("CA %s signs, and is the only one.", ca.Signs)
	case ca.Step == understudy.CAUse && len(waiting) == 0:
		return fmt.Sprintf("CA %s signs. All servers believe %s, which can be used.", ca.Signs, ca.Next)
	case ca.Step == understudy.CAUse:
		return fmt.Sprintf("CA %s signs, and %s is announced: %s.", ca.Signs, ca.Next, strings.Join(waiting, "; "))
	case len(waiting) == 0:
		return fmt.Sprintf("CA %s signs. All servers have moved to it, and %s can be retired.", ca.Signs, ca.Old)
	}
	return fmt.Sprintf("CA %s signs, and %s is still believed: %s.", ca.Signs, ca.Old, strings.Join(waiting, "; "))
}

// ChangeCA takes the next step, and has all servers told.
func (m *Management) ChangeCA(ctx context.Context, step understudy.CAStep, force bool) (understudy.CA, error) {
	before, err := m.CA(ctx)
	if err != nil {
		return before, err
	}
	if step != before.Step {
		return before, understudy.Errorf(understudy.CodeConflict, "the next step is %q, and %.20q was asked for. %s", string(before.Step), string(step), before.Sentence)
	}
	if waiting := behind(before); len(waiting) > 0 && step != understudy.CANew && !force {
		return before, understudy.Errorf(understudy.CodeConflict,
			"not all servers are ready: %s. Wait for them, or force it: those join again afterwards", strings.Join(waiting, "; "))
	}
	take, sentence := m.issuer.AnnounceCA, "A new CA of the installation was made. Servers believe it beside the one that signs."
	switch step {
	case understudy.CAUse:
		take, sentence = m.issuer.UseCA, "The new CA of the installation signs from now on. Servers get certificates of it."
	case understudy.CARetire:
		take, sentence = m.issuer.RetireCA, "The old CA of the installation was retired. Certificates of it are believed no more."
	}
	if err := take(); err != nil {
		return before, err
	}
	signs, _, _ := m.issuer.CA()
	err = m.update(ctx, func(tx *change) error {
		return tx.record(understudy.Event{Kind: understudy.EventAccess, Sentence: sentence, Changes: []understudy.Change{{CA: signs}}})
	})
	if err != nil {
		return before, err
	}
	return m.CA(ctx)
}
