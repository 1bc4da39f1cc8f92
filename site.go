package understudy

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"time"
)

// Site is everything that clients and servers know of a site: who is there and
// who serves what. It carries no secrets. It is a value: Apply returns another.
type Site struct {
	Seq              uint64            `json:"seq" doc:"The last event that is in it"`
	Cameras          []Camera          `json:"cameras"`
	RecordingServers []RecordingServer `json:"recording_servers"`
	FailoverServers  []FailoverServer  `json:"failover_servers"`
	Groups           []FailoverGroup   `json:"groups"`
	Leases           Leases            `json:"leases"`
	Locks            []Lock            `json:"locks,omitempty"`
	Moved            []MovedCamera     `json:"moved,omitempty"`
	Revoked          []Revocation      `json:"revoked,omitempty"`
	Recalls          []Recall          `json:"recalls,omitempty" doc:"Of media tokens, in the last day"`
	CameraGroups     []CameraGroup     `json:"camera_groups,omitempty"`
	Roles            []SiteRole        `json:"roles,omitempty" doc:"Of the site's own"`
}

// MovedCamera is a camera that had another home before. Footage of that time stays there.
type MovedCamera struct {
	Camera CameraID   `json:"camera"`
	From   []ServerID `json:"from" doc:"Recording servers that were its home before, by id"`
}

// Apply returns the site after e. An event that is already in it changes nothing.
func (s Site) Apply(e Event) Site {
	if e.Seq <= s.Seq {
		return s
	}
	s.Seq = e.Seq
	var own copied
	for _, c := range e.Changes {
		switch {
		case c.Camera != nil:
			put(&s.Cameras, &own.cameras, *c.Camera, cameraID)
		case c.RecordingServer != nil:
			put(&s.RecordingServers, &own.recordingServers, *c.RecordingServer, recordingServerID)
		case c.FailoverServer != nil:
			put(&s.FailoverServers, &own.failoverServers, *c.FailoverServer, failoverServerID)
		case c.Group != nil:
			put(&s.Groups, &own.groups, *c.Group, groupID)
		case c.Lease != nil:
			lease := *c.Lease
			put(&s.Leases, &own.leases, &lease, leaseCamera)
		case c.GoneCamera != "":
			remove(&s.Cameras, &own.cameras, c.GoneCamera, cameraID)
			remove(&s.Leases, &own.leases, c.GoneCamera, leaseCamera)
			remove(&s.Moved, &own.moved, c.GoneCamera, movedCamera)
		case c.GoneServer != "":
			remove(&s.RecordingServers, &own.recordingServers, c.GoneServer, recordingServerID)
			remove(&s.FailoverServers, &own.failoverServers, c.GoneServer, failoverServerID)
		case c.GoneGroup != "":
			remove(&s.Groups, &own.groups, c.GoneGroup, groupID)
		case c.Moved != nil:
			put(&s.Moved, &own.moved, *c.Moved, movedCamera)
		case c.Revoked != nil:
			put(&s.Revoked, &own.revoked, *c.Revoked, revokedServer)
		case c.Recall != nil:
			s.recall(*c.Recall, &own.recalls)
		case c.Lock != nil:
			put(&s.Locks, &own.locks, *c.Lock, lockID)
		case c.GoneLock != "":
			remove(&s.Locks, &own.locks, c.GoneLock, lockID)
		case c.CameraGroup != nil:
			put(&s.CameraGroups, &own.cameraGroups, *c.CameraGroup, cameraGroupID)
		case c.GoneCameraGroup != "":
			remove(&s.CameraGroups, &own.cameraGroups, c.GoneCameraGroup, cameraGroupID)
		case c.Role != nil:
			put(&s.Roles, &own.roles, *c.Role, roleName)
		case c.GoneRole != "":
			remove(&s.Roles, &own.roles, c.GoneRole, roleName)
		}
	}
	return s
}

// copied says which lists Apply has copied already: each is copied once an
// event, however many leases a claim moves.
type copied struct{ cameras, recordingServers, failoverServers, groups, leases, locks, moved, revoked, recalls, cameraGroups, roles bool }

// Camera returns the camera of that id.
func (s Site) Camera(id CameraID) (Camera, bool) { return find(s.Cameras, id, cameraID) }

// Lease returns the lease of a camera.
func (s Site) Lease(id CameraID) (Lease, bool) {
	if l, ok := find(s.Leases, id, leaseCamera); ok {
		return *l, true
	}
	return Lease{}, false
}

// RecordingServer returns the recording server of that id.
func (s Site) RecordingServer(id ServerID) (RecordingServer, bool) {
	return find(s.RecordingServers, id, recordingServerID)
}

// FailoverServer returns the failover server of that id.
func (s Site) FailoverServer(id ServerID) (FailoverServer, bool) {
	return find(s.FailoverServers, id, failoverServerID)
}

// Group returns the failover group of that id.
func (s Site) Group(id GroupID) (FailoverGroup, bool) { return find(s.Groups, id, groupID) }

// Lock returns the lock of that id.
func (s Site) Lock(id string) (Lock, bool) { return find(s.Locks, id, lockID) }

// Revocation returns the latest one of a server's certificates.
func (s Site) Revocation(id ServerID) (Revocation, bool) { return find(s.Revoked, id, revokedServer) }

// Addresses returns where a recording or failover server is reached.
func (s Site) Addresses(id ServerID) (Addresses, bool) {
	if r, ok := s.RecordingServer(id); ok {
		return r.Addresses, true
	}
	f, ok := s.FailoverServer(id)
	return f.Addresses, ok
}

// MediaServers returns all servers that may hold footage, with their addresses.
func (s Site) MediaServers() map[ServerID]Addresses {
	all := make(map[ServerID]Addresses, len(s.RecordingServers)+len(s.FailoverServers))
	for _, r := range s.RecordingServers {
		all[r.ID] = r.Addresses
	}
	for _, f := range s.FailoverServers {
		all[f.ID] = f.Addresses
	}
	return all
}

// FootageServers returns the servers that may hold footage of a camera: its home,
// those that were its home before, and every failover server, since groups
// change; all servers for a camera that the site does not have.
func (s Site) FootageServers(camera CameraID) map[ServerID]Addresses {
	all := s.MediaServers()
	c, known := s.Camera(camera)
	if !known {
		return all
	}
	moved, _ := find(s.Moved, camera, movedCamera)
	for _, r := range s.RecordingServers {
		if r.ID != c.Home && !slices.Contains(moved.From, r.ID) {
			delete(all, r.ID)
		}
	}
	return all
}

// Expired reports whether retention may take footage of a camera that ends at
// end, by its age alone, and how long it is kept; of what a lock or an event may
// hold, it says no.
func (s Site) Expired(camera CameraID, end, now time.Time) (keep time.Duration, expired bool) {
	c, known := s.Camera(camera)
	keep = max(c.KeepFor, c.Rule.KeepEvents)
	if !known || c.KeepFor <= 0 || end.IsZero() || now.Sub(end) < keep {
		return keep, false
	}
	locked := slices.ContainsFunc(s.Locks, func(l Lock) bool { return l.Camera == camera && l.Holds(now) })
	return keep, !locked
}

// Standbys returns who may stand in for a camera, in the order in which they are
// asked, each once: its mirror, its home's hot standby, and the members of the
// primary and the secondary group in their order.
func (s Site) Standbys(camera Camera) []ServerID {
	home, _ := s.RecordingServer(camera.Home)
	var order []ServerID
	add := func(id ServerID) {
		if id != "" && !slices.Contains(order, id) {
			order = append(order, id)
		}
	}
	add(cmp.Or(camera.Mirror, home.MirrorStandby))
	add(home.HotStandby)
	for _, id := range []GroupID{home.PrimaryGroup, home.SecondaryGroup} {
		group, _ := s.Group(id)
		for _, member := range group.Members {
			add(member)
		}
	}
	return order
}

// Standby returns how a server stands by for a camera, and its place in the
// order; not ok when it does not. A mirror that cannot hold a session of its own
// is a hot standby.
func (s Site) Standby(camera Camera, server ServerID) (kind Standby, rank int, ok bool) {
	rank = slices.Index(s.Standbys(camera), server)
	home, _ := s.RecordingServer(camera.Home)
	mirror := cmp.Or(camera.Mirror, home.MirrorStandby) == server
	switch {
	case rank < 0 || camera.Failover == SupportNone:
		return "", 0, false
	case mirror && camera.Mirrored():
		return StandbyMirror, rank, true
	case mirror || home.HotStandby == server || home.HandOver.To == server: // to take over with a picture, it needs what a hot one has
		return StandbyHot, rank, true
	}
	return StandbyCold, rank, true
}

// Only returns the site as an identity may see it: cameras (and their leases
// and locks) that visible accepts.
func (s Site) Only(visible func(CameraID) bool) Site {
	s.Cameras = slices.DeleteFunc(slices.Clone(s.Cameras), func(c Camera) bool { return !visible(c.ID) })
	s.Leases = slices.DeleteFunc(slices.Clone(s.Leases), func(l *Lease) bool { return !visible(l.Camera) })
	s.Locks = slices.DeleteFunc(slices.Clone(s.Locks), func(l Lock) bool { return !visible(l.Camera) })
	s.Moved = slices.DeleteFunc(slices.Clone(s.Moved), func(m MovedCamera) bool { return !visible(m.Camera) })
	return s
}

// Holders returns, for each holder, the cameras it serves now.
func (s Site) Holders() map[ServerID][]CameraID {
	held := make(map[ServerID][]CameraID)
	for _, l := range s.Leases {
		held[l.Holder] = append(held[l.Holder], l.Camera)
	}
	for _, holder := range slices.Collect(maps.Keys(held)) {
		slices.Sort(held[holder])
	}
	return held
}

func cameraID(c *Camera) CameraID                   { return c.ID }
func recordingServerID(r *RecordingServer) ServerID { return r.ID }
func failoverServerID(f *FailoverServer) ServerID   { return f.ID }
func groupID(g *FailoverGroup) GroupID              { return g.ID }
func leaseCamera(l **Lease) CameraID                { return (*l).Camera }
func lockID(l *Lock) string                         { return l.ID }
func movedCamera(m *MovedCamera) CameraID           { return m.Camera }
func revokedServer(r *Revocation) ServerID          { return r.Server }

// The lists of a site are sorted by id, so that two equal sites are equal bytes.

func search[T any, K ~string](list []T, id K, key func(*T) K) (int, bool) {
	i := sort.Search(len(list), func(i int) bool { return key(&list[i]) >= id })
	return i, i < len(list) && key(&list[i]) == id
}

func find[T any, K ~string](list []T, id K, key func(*T) K) (T, bool) {
	if i, ok := search(list, id, key); ok {
		return list[i], true
	}
	var none T
	return none, false
}

func put[L ~[]T, T any, K ~string](list *L, own *bool, t T, key func(*T) K) {
	i, ok := search(*list, key(&t), key)
	detach(list, own)
	if ok {
		(*list)[i] = t
		return
	}
	*list = slices.Insert(*list, i, t)
}

func remove[L ~[]T, T any, K ~string](list *L, own *bool, id K, key func(*T) K) {
	i, ok := search(*list, id, key)
	if !ok {
		return
	}
	detach(list, own)
	*list = slices.Delete(*list, i, i+1)
}

func detach[L ~[]T, T any](list *L, own *bool) {
	if !*own {
		*list, *own = slices.Clone(*list), true
	}
}
