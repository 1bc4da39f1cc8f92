package understudy

import "encoding/json"

// Leases are those of a site, one of each camera, sorted by it. Sites share them,
// since one may have a hundred thousand of which an event moves few: a lease that
// is among them is never changed in place.
type Leases []*Lease

// UnmarshalJSON reads an array of leases.
func (l *Leases) UnmarshalJSON(text []byte) error {
	var leases []Lease // so that a null in it is a lease, and no pointer to none
	if err := json.Unmarshal(text, &leases); err != nil {
		return err
	}
	*l = make(Leases, len(leases))
	for i := range leases {
		(*l)[i] = &leases[i]
	}
	return nil
}

// Learn returns the leases with those that were heard of ahead of the site, where
// they are of its cameras and under a higher epoch.
func (l Leases) Learn(heard Leases) Leases {
	own := false
	for _, h := range heard {
		if i, ok := search(l, h.Camera, leaseCamera); ok && l[i].Epoch < h.Epoch {
			detach(&l, &own)
			l[i] = h
		}
	}
	return l
}
