package understudy_test

import (
	"encoding/json"
	"slices"
	"testing"

	us "understudy"
)

func TestLeasesLearnWhatIsNewer(t *testing.T) {
	before := us.Leases{{Camera: "a", Holder: "rec1", Epoch: 3}, {Camera: "b", Holder: "rec1", Epoch: 3}}
	answer := us.ClaimAnswer{
		Granted: []us.Lease{{Camera: "a", Holder: "fo1", Epoch: 4}},
		Refused: []us.Refusal{{Camera: "b", Lease: us.Lease{Camera: "b", Holder: "fo2", Epoch: 3}}, {Camera: "c", Lease: us.Lease{Camera: "c", Holder: "fo2", Epoch: 9}}},
	}
	after := before.Learn(answer.Leases())
	if got, want := holders(after), []us.ServerID{"fo1", "rec1"}; !slices.Equal(got, want) {
		t.Errorf("they are held by %s, want %s: b is as old, and c is no camera of the site", got, want)
	}
	if before[0].Holder != "rec1" {
		t.Error("Learn wrote into the leases it was called on")
	}
}

func holders(leases us.Leases) (holders []us.ServerID) {
	for _, l := range leases {
		holders = append(holders, l.Holder)
	}
	return holders
}

func TestANullAmongLeasesIsALease(t *testing.T) {
	var site us.Site
	if err := json.Unmarshal([]byte(`{"leases": [null, {"camera": "a"}]}`), &site); err != nil {
		t.Fatal(err)
	}
	if lease, ok := site.Lease("a"); !ok || lease.Camera != "a" || *site.Leases[0] != (us.Lease{}) {
		t.Errorf("the leases are %+v", site.Leases)
	}
}
