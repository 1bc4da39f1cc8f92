package site

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"understudy"
)

// Fault is something that a demo or a drill does to a server.
type Fault string

// The faults, and their cures.
const (
	FaultKill  Fault = "kill"   // SIGKILL: dead at once
	FaultStop  Fault = "stop"   // SIGTERM: a planned stop
	FaultHang  Fault = "hang"   // SIGSTOP: the process is there and does nothing
	CureStart  Fault = "start"  // start a dead one again
	CureResume Fault = "resume" // SIGCONT: a hanging one goes on

	FaultDisk    Fault = "disk"    // the process lives, and can write no file
	CureDisk     Fault = "mend"    // it can write again
	FaultCameras Fault = "cameras" // half of its test cameras turn it away, and nobody else
	CureCameras  Fault = "welcome" // they let it in again
)

// controlIdle is how long a request to the control may take to say what it wants.
const controlIdle = time.Minute

// Do does a fault to a server, or cures it.
func (s *Site) Do(fault Fault, name string) error {
	p, ok := s.Process(name)
	if !ok {
		return understudy.Errorf(understudy.CodeNotFound, "this site has no process %q", name)
	}
	switch fault {
	case FaultKill:
		return p.Signal(syscall.SIGKILL)
	case FaultStop:
		return p.Signal(syscall.SIGTERM)
	case FaultHang:
		return p.Signal(syscall.SIGSTOP)
	case CureResume:
		return p.Signal(syscall.SIGCONT)
	case CureStart:
		return p.Start()
	case FaultDisk:
		return p.LimitFiles(0)
	case CureDisk:
		return p.LimitFiles(unix.RLIM_INFINITY)
	case FaultCameras:
		return s.refuse(understudy.ServerID(name), s.Half(understudy.ServerID(name)))
	case CureCameras:
		return s.refuse(understudy.ServerID(name), nil)
	}
	return understudy.Errorf(understudy.CodeInvalid, "kill, stop, hang, resume or start a server, fail (disk) or mend its disk, let its cameras turn it away (cameras) or welcome it; found %q", fault)
}

// controlled is a server as the demo's control shows it.
type controlled struct {
	Name    string `json:"name"`
	Running bool   `json:"running"`
	PID     int    `json:"pid,omitempty"`
}

// ListenControl opens the Unix socket of a demo's control, which only this
// user's processes can open.
func ListenControl(ctx context.Context, socket string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", socket)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the demo's control could not listen: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		l.Close()
		return nil, understudy.Errorf(understudy.CodeUnavailable, "the demo's control could not be protected: %w", err)
	}
	return l, nil
}

// Control serves the demo's buttons until ctx ends. The management server
// relays administrators' requests to it.
func Control(ctx context.Context, l net.Listener, site func() *Site) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /servers", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, site().controlled(), nil)
	})
	mux.HandleFunc("POST /servers/{name}/{fault}", func(w http.ResponseWriter, r *http.Request) {
		s := site()
		err := s.Do(Fault(r.PathValue("fault")), r.PathValue("name"))
		answer(w, s.controlled(), err)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: controlIdle}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Site) controlled() []controlled {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []controlled{}
	for name, p := range s.processes {
		list = append(list, controlled{Name: name, Running: p.Running(), PID: p.PID()})
	}
	slices.SortFunc(list, func(a, b controlled) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		code := understudy.CodeOf(err)
		w.WriteHeader(code.HTTPStatus())
		v = map[string]string{"code": string(code), "message": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(v) // the asker may be gone
}
