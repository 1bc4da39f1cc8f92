package failover

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"understudy"
)

func (s *State) say(kind understudy.EventKind, server understudy.ServerID, public bool, format string, args ...any) {
	s.said = append(s.said, Said{
		Report: understudy.Report{Kind: kind, Sentence: fmt.Sprintf(format, args...)},
		Server: server, Public: public,
	})
}

// milestones adds moments of a failover to what was said last.
func (s *State) milestones(told ...understudy.Milestone) {
	s.said[len(s.said)-1].Milestones = told
}

// seconds writes a duration as people time a failover.
func seconds(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func counted(n int) string {
	if n == 1 {
		return "1 camera"
	}
	return fmt.Sprintf("%d cameras", n)
}

// naming names a few cameras, and counts the rest.
func naming(cameras []understudy.CameraID) string {
	const few = 4
	names := make([]string, 0, few)
	for _, c := range cameras[:min(few, len(cameras))] {
		names = append(names, string(c))
	}
	text := strings.Join(names, ", ")
	if more := len(cameras) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return map[bool]string{true: "camera ", false: "cameras "}[len(cameras) == 1] + text
}

// shortID keeps the id of a claim within its bounds, and different from every other.
func shortID(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}
