package management

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"understudy"
)

// maxMembers bounds a failover group.
const maxMembers = 100

// Site returns everything but history. Its lists are never nil.
func (m *Management) Site(ctx context.Context) (understudy.Site, error) {
	var site understudy.Site
	err := m.store.View(ctx, func(r Reader) (err error) {
		site, err = r.Site()
		return err
	})
	site.Cameras = orEmpty(site.Cameras)
	site.RecordingServers = orEmpty(site.RecordingServers)
	site.FailoverServers = orEmpty(site.FailoverServers)
	site.Groups = orEmpty(site.Groups)
	site.Leases = orEmpty(site.Leases)
	return site, err
}

// orEmpty keeps lists lists in JSON.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// printable reports whether a text may stand in a log, a page or a statement.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func validateName[T ~string](noun string, id T, name string) error {
	if len(name) > maxName || !printable(name) {
		return understudy.Errorf(understudy.CodeInvalid, "the name of %s %s is at most %d bytes of UTF-8 without control characters, found %.40q", noun, id, maxName, name)
	}
	return nil
}

// PutRecordingServer creates or replaces. What it refers to must exist.
func (m *Management) PutRecordingServer(ctx context.Context, s understudy.RecordingServer) (understudy.RecordingServer, error) {
	if s.Name == "" {
		s.Name = string(s.ID)
	}
	if err := errors.Join(validateServer(s.ID, s.Name, s.Addresses), s.Merge.Validate(), s.Failback.Validate()); err != nil {
		return s, err
	}
	return s, m.update(ctx, func(tx *change) error {
		if _, ok := tx.site.FailoverServer(s.ID); ok {
			return understudy.Errorf(understudy.CodeConflict, "%s is a failover server already; a recording server needs an id of its own", s.ID)
		}
		if _, ok := tx.site.FailoverServer(s.MirrorStandby); s.MirrorStandby != "" && !ok {
			return understudy.Errorf(understudy.CodeInvalid, "the mirror standby of %s must be a failover server, and there is no %q", s.ID, string(s.MirrorStandby))
		}
		if _, ok := tx.site.FailoverServer(s.HotStandby); s.HotStandby != "" && !ok {
			return understudy.Errorf(understudy.CodeInvalid, "the hot standby of %s must be a failover server, and there is no %q", s.ID, string(s.HotStandby))
		}
		for _, group := range []understudy.GroupID{s.PrimaryGroup, s.SecondaryGroup} {
			if _, ok := tx.site.Group(group); group != "" && !ok {
				return understudy.Errorf(understudy.CodeInvalid, "%s names a failover group that does not exist: %q", s.ID, string(group))
			}
		}
		if s.PrimaryGroup == "" && s.SecondaryGroup != "" || s.PrimaryGroup != "" && s.PrimaryGroup == s.SecondaryGroup {
			return understudy.Errorf(understudy.CodeInvalid, "the secondary group of %s is asked after a primary one, and must be another", s.ID)
		}
		before, exists := tx.site.RecordingServer(s.ID)
		s.HandOver, s.Maintenance, s.TakeBack = before.HandOver, before.Maintenance, before.TakeBack // orders stand
		if exists && before == s {
			return nil
		}
		return tx.record(understudy.Event{
			Kind: understudy.EventConfig, Server: s.ID,
			Sentence: fmt.Sprintf("Recording server %s was %s.%s", s.ID, addedOrChanged(exists), unmirrored(tx.site, s)),
			Changes:  []understudy.Change{{RecordingServer: &s}},
		})
	})
}

// unmirrored says which cameras a mirror standby cannot mirror; nothing if it can mirror all.
func unmirrored(site understudy.Site, s understudy.RecordingServer) string {
	single := selectCameras(site, func(c understudy.Camera) bool { return c.Home == s.ID && c.Mirror == "" && c.Sessions == 1 })
	if s.MirrorStandby == "" || len(single) == 0 {
		return ""
	}
	return fmt.Sprintf(" %s of %s allows one session only: there %s is a hot standby, and loses what comes before the first key frame.",
		cameraCount(single[0].ID, len(single)), s.ID, s.MirrorStandby)
}

// PutFailoverServer creates or replaces.
func (m *Management) PutFailoverServer(ctx context.Context, s understudy.FailoverServer) (understudy.FailoverServer, error) {
	if s.Name == "" {
		s.Name = string(s.ID)
	}
	if err := errors.Join(validateServer(s.ID, s.Name, s.Addresses), s.Capacity.Validate()); err != nil {
		return s, err
	}
	return s, m.update(ctx, func(tx *change) error {
		if _, ok := tx.site.RecordingServer(s.ID); ok {
			return understudy.Errorf(understudy.CodeConflict, "%s is a recording server already; a failover server needs an id of its own", s.ID)
		}
		before, exists := tx.site.FailoverServer(s.ID)
		if exists && before == s {
			return nil
		}
		return tx.record(understudy.Event{
			Kind: understudy.EventConfig, Server: s.ID,
			Sentence: fmt.Sprintf("Failover server %s was %s.", s.ID, addedOrChanged(exists)),
			Changes:  []understudy.Change{{FailoverServer: &s}},
		})
	})
}

func validateServer(id understudy.ServerID, name string, a understudy.Addresses) error {
	if err := understudy.ValidateID("server", id); err != nil {
		return err
	}
	if err := validateName("server", id, name); err != nil {
		return err
	}
	for _, address := range []string{a.Media, a.State, a.Merge} {
		if len(address) > maxName || !printable(address) {
			return understudy.Errorf(understudy.CodeInvalid, "an address of %s is at most %d bytes without control characters, found %.40q", id, maxName, address)
		}
	}
	return a.Validate()
}

func addedOrChanged(exists bool) string {
	if exists {
		return "changed"
	}
	return "added"
}

// PutGroup creates or replaces. Its members must exist, each once.
func (m *Management) PutGroup(ctx context.Context, g understudy.FailoverGroup) (understudy.FailoverGroup, error) {
	if g.Name == "" {
		g.Name = string(g.ID)
	}
	g.Members = slices.Clone(g.Members)
	if g.Members == nil {
		g.Members = []understudy.ServerID{}
	}
	if err := understudy.ValidateID("failover group", g.ID); err != nil {
		return g, err
	}
	if err := validateName("failover group", g.ID, g.Name); err != nil {
		return g, err
	}
	if len(g.Members) > maxMembers {
		return g, understudy.Errorf(understudy.CodeInvalid, "failover group %s may have %d members, and has %d", g.ID, maxMembers, len(g.Members))
	}
	return g, m.update(ctx, func(tx *change) error {
		for i, member := range g.Members {
			if _, ok := tx.site.FailoverServer(member); !ok {
				return understudy.Errorf(understudy.CodeInvalid, "failover group %s is made of failover servers, and there is no %q", g.ID, string(member))
			}
			if slices.Contains(g.Members[:i], member) {
				return understudy.Errorf(understudy.CodeInvalid, "failover group %s names %s twice", g.ID, member)
			}
		}
		before, exists := tx.site.Group(g.ID)
		if exists && before.Name == g.Name && slices.Equal(before.Members, g.Members) {
			return nil
		}
		return tx.record(understudy.Event{
			Kind:     understudy.EventConfig,
			Sentence: fmt.Sprintf("Failover group %s was %s: %v.", g.ID, addedOrChanged(exists), g.Members),
			Changes:  []understudy.Change{{Group: &g}},
		})
	})
}

// DeleteServer forgets a server that nothing refers to.
func (m *Management) DeleteServer(ctx context.Context, id understudy.ServerID) error {
	return m.update(ctx, func(tx *change) error {
		if _, ok := tx.site.Addresses(id); !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no server %q", string(id))
		}
		if use := usesOfServer(tx.site, id); use != "" {
			return understudy.Errorf(understudy.CodeConflict, "server %s cannot be deleted while %s", id, use)
		}
		if err := tx.DeletePreflight(id); err != nil {
			return err
		}
		return tx.record(understudy.Event{
			Kind: understudy.EventConfig, Server: id,
			Sentence: fmt.Sprintf("Server %s was deleted.", id),
			Changes:  []understudy.Change{{GoneServer: id}, {Revoked: revocation(id, tx.now, "it was removed from the site")}},
		})
	})
}

// usesOfServer says what still needs the server, or nothing.
func usesOfServer(site understudy.Site, id understudy.ServerID) string {
	for _, c := range site.Cameras {
		if c.Home == id {
			return fmt.Sprintf("it is the home of camera %s", c.ID)
		}
	}
	for _, l := range site.Leases {
		if l.Holder == id {
			return fmt.Sprintf("it serves camera %s", l.Camera)
		}
	}
	for _, g := range site.Groups {
		if slices.Contains(g.Members, id) {
			return fmt.Sprintf("it is a member of failover group %s", g.ID)
		}
	}
	for _, c := range site.Cameras {
		if c.Mirror == id {
			return fmt.Sprintf("it is the mirror of camera %s", c.ID)
		}
	}
	for _, r := range site.RecordingServers {
		if r.MirrorStandby == id {
			return fmt.Sprintf("it is the mirror standby of %s", r.ID)
		}
		if r.HotStandby == id {
			return fmt.Sprintf("it is the hot standby of %s", r.ID)
		}
	}
	return ""
}

// DeleteGroup forgets a group that nothing refers to.
func (m *Management) DeleteGroup(ctx context.Context, id understudy.GroupID) error {
	return m.update(ctx, func(tx *change) error {
		if _, ok := tx.site.Group(id); !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no failover group %q", string(id))
		}
		for _, r := range tx.site.RecordingServers {
			if r.PrimaryGroup == id || r.SecondaryGroup == id {
				return understudy.Errorf(understudy.CodeConflict, "failover group %s cannot be deleted while %s relies on it", id, r.ID)
			}
		}
		return tx.record(understudy.Event{
			Kind:     understudy.EventConfig,
			Sentence: fmt.Sprintf("Failover group %s was deleted.", id),
			Changes:  []understudy.Change{{GoneGroup: id}},
		})
	})
}
