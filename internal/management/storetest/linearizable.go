package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	us "understudy"
	"understudy/internal/management"
)

// Authority is a site's management servers as those see them who claim. An error
// means that nobody knows whether it was done.
type Authority interface {
	Claim(c us.Claim) (us.ClaimAnswer, error)
	Leases() (us.Leases, error)
}

var (
	contested = []us.CameraID{"a", "b", "c"}
	claimants = []us.ServerID{"rec1", "fo1", "fo2", "fo3"}
)

// Contest makes the site of Linearizable: three cameras that four servers may claim.
func Contest(t testing.TB, store management.Store) {
	t.Helper()
	m := New(t, store)
	for _, id := range claimants[1:] {
		must[us.FailoverServer](t)(m.PutFailoverServer(background, us.FailoverServer{ID: id, Addresses: addresses(string(id))}))
	}
	must[us.FailoverGroup](t)(m.PutGroup(background, us.FailoverGroup{ID: "all", Members: claimants[1:]}))
	must[us.RecordingServer](t)(m.PutRecordingServer(background, us.RecordingServer{ID: claimants[0], Addresses: addresses("rec1"), PrimaryGroup: "all"}))
	for _, id := range contested {
		must[us.Camera](t)(m.PutCamera(background, us.Camera{ID: id, Home: claimants[0], URL: "rtsp://h/"}, nil))
	}
}

// Linearizable lets the servers of a Contest claim against each other until it is
// over, each claim again and again until it is answered, and checks that the answers
// are those of an authority that does one after another, each once, at a moment
// between question and answer.
func Linearizable(t *testing.T, a Authority, over <-chan struct{}) {
	first, err := a.Leases()
	if err != nil {
		t.Fatal(err)
	}
	h := questions{start: time.Now(), a: a}
	var all sync.WaitGroup
	for i := range claimants {
		all.Go(func() { h.contend(i, over) })
	}
	all.Wait()
	h.look(len(claimants)) // what it came to
	result, info := porcupine.CheckOperationsVerbose(contestOf(first), h.operations, time.Minute)
	if result != porcupine.Ok {
		t.Errorf("%s: the answers to %d questions are not those of one authority; see %s", result, len(h.operations), drawn(t, contestOf(first), info))
	}
	t.Logf("%d questions", len(h.operations))
}

// drawn returns a page that shows what was asked and answered, and stays.
func drawn(t *testing.T, m porcupine.Model, info porcupine.LinearizationInfo) string {
	page, err := os.CreateTemp("", "claims-*.html")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(porcupine.Visualize(m, info, page), page.Close()); err != nil {
		t.Error(err)
	}
	return page.Name()
}

// questions is what was asked and answered.
type questions struct {
	start      time.Time
	a          Authority
	mu         sync.Mutex
	operations []porcupine.Operation
}

// contend is one server's part: it looks, and then claims what it saw.
func (h *questions) contend(client int, over <-chan struct{}) {
	random := rand.New(rand.NewPCG(1, uint64(client)))
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		default:
		}
		leases := h.look(client)
		c := us.Claim{ID: fmt.Sprintf("claim-%d-%d", client, n), Claimant: claimants[client], Home: claimants[0], Kind: us.ClaimTakeover, Sentence: "it is a contest"}
		if client == 0 {
			c.Kind = us.ClaimFailback
		}
		for i, l := range leases {
			if random.IntN(3) > 0 || i == len(leases)-1 && len(c.Cameras) == 0 {
				c.Cameras = append(c.Cameras, us.CameraEpoch{Camera: l.Camera, Epoch: l.Epoch})
			}
		}
		h.claim(client, c)
	}
}

// look asks once more after each question that was not answered: to look changes nothing.
func (h *questions) look(client int) us.Leases {
	for {
		called := h.now()
		leases, err := h.a.Leases()
		if err == nil {
			h.add(client, called, nil, heldBy(leases))
			return leases
		}
	}
}

func (h *questions) claim(client int, c us.Claim) {
	called := h.now()
	for {
		answer, err := h.a.Claim(c)
		if err == nil {
			h.add(client, called, &c, heldBy(us.ClaimAnswer{Granted: answer.Granted}.Leases()))
			return
		}
	}
}

func (h *questions) now() int64 { return int64(time.Since(h.start)) }

func (h *questions) add(client int, called int64, c *us.Claim, got held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: c, Call: called, Output: got, Return: h.now()})
}

// held is who holds each camera under which epoch; of an answer, only what was granted.
type held [3]struct {
	holder us.ServerID
	epoch  uint64
}

func heldBy(leases us.Leases) (h held) {
	for _, l := range leases {
		i := slices.Index(contested, l.Camera)
		h[i].holder, h[i].epoch = l.Holder, l.Epoch
	}
	return h
}

// contestOf is an authority in a few lines. Its state is held; epochs are above all others of the site.
func contestOf(first us.Leases) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return heldBy(first) },
		Step: func(state, input, output any) (bool, any) {
			now, got := state.(held), output.(held)
			c := input.(*us.Claim)
			if c == nil { // it looked
				return got == now, now
			}
			highest, granted := uint64(0), held{}
			for _, l := range now {
				highest = max(highest, l.epoch)
			}
			for _, wanted := range c.Cameras {
				i := slices.Index(contested, wanted.Camera)
				if now[i].epoch != wanted.Epoch {
					continue
				}
				if now[i].holder != c.Claimant {
					now[i].holder, now[i].epoch = c.Claimant, highest+1
				}
				granted[i] = now[i]
			}
			return got == granted, now
		},
		DescribeOperation: func(input, output any) string {
			if c := input.(*us.Claim); c != nil {
				return fmt.Sprintf("%s claims %v: %v", c.Claimant, c.Cameras, output)
			}
			return fmt.Sprintf("looks: %v", output)
		},
	}
}
