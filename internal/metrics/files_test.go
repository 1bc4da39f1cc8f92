package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

const packaging = "../../packaging"

// told returns all metrics that some role tells, with the names of their samples.
func told(t *testing.T) map[string]bool {
	t.Helper()
	parts, requests, _ := siteParts(nil)
	requests.Answered("GET /x", 200, time.Second)
	names := map[string]bool{}
	for _, text := range []string{scrape(t, serverParts()...), scrape(t, parts...)} {
		for _, m := range regexp.MustCompile(`(?m)^# TYPE (understudy_\S+) (\S+)$`).FindAllStringSubmatch(text, -1) {
			names[m[1]] = true
			if m[2] == "histogram" {
				names[m[1]+"_bucket"], names[m[1]+"_count"], names[m[1]+"_sum"] = true, true, true
			}
		}
	}
	if len(names) < 50 {
		t.Fatalf("only %d metrics are told: %v", len(names), names)
	}
	return names
}

func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var metric = regexp.MustCompile(`understudy_[a-z_]+`)

// TestRulesAndDashboardNameWhatThereIs: a metric that was renamed would be an
// alert that never comes.
func TestRulesAndDashboardNameWhatThereIs(t *testing.T) {
	names := told(t)
	for _, path := range []string{"prometheus/understudy.rules.yaml", "prometheus/understudy.test.yaml", "grafana/understudy.json"} {
		used := metric.FindAllString(file(t, filepath.Join(packaging, path)), -1)
		if len(used) < 10 {
			t.Errorf("%s names only %v", path, used)
		}
		for _, name := range used {
			if !names[name] {
				t.Errorf("%s names %s, which no role tells", path, name)
			}
		}
	}
}

// TestTheOperatorsPageHasEachMetric, with the sentence that Prometheus shows.
func TestTheOperatorsPageHasEachMetric(t *testing.T) {
	page, names := file(t, "../../docs/metrics.md"), told(t)
	for name := range names {
		base := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
		if !strings.Contains(page, "`"+base+"`") {
			t.Errorf("docs/metrics.md says nothing of %s", base)
		}
	}
	for _, name := range metric.FindAllString(page, -1) {
		if !names[name] {
			t.Errorf("docs/metrics.md has %s, which no role tells", name)
		}
	}
}

// TestEachAlertSaysWhatToDo and how urgent it is.
func TestEachAlertSaysWhatToDo(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Expr        string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(file(t, filepath.Join(packaging, "prometheus/understudy.rules.yaml"))), &rules); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Groups[0].Rules {
		if !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || len(r.Annotations["description"]) < 40 {
			t.Errorf("alert %s needs a severity, a summary and what to do", r.Alert)
		}
	}
}

// TestPromtool lets Prometheus' own tool judge the rules, and play stories to them.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is needed: run scripts/install-test-tools.sh")
	}
	for _, arguments := range [][]string{{"check", "rules", "understudy.rules.yaml"}, {"test", "rules", "understudy.test.yaml"}} {
		run := exec.CommandContext(t.Context(), promtool, arguments...)
		run.Dir = filepath.Join(packaging, "prometheus")
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
		}
	}
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	parts, requests, _ := siteParts(nil)
	requests.Answered("GET /x", 200, time.Second)
	check.Stdin = strings.NewReader(scrape(t, append(serverParts(), parts...)...))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool finds the names of metrics wrong: %v\n%s", err, out)
	}
}

// TestTheDashboardIsOne that Grafana can read: panels with an expression, and none upon another.
func TestTheDashboardIsOne(t *testing.T) {
	type box struct{ H, W, X, Y int }
	var board struct {
		Title  string
		Panels []struct {
			ID      int
			Type    string
			GridPos box
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(file(t, filepath.Join(packaging, "grafana/understudy.json"))), &board); err != nil {
		t.Fatal(err)
	}
	ids, taken := map[int]bool{}, map[[2]int]int{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d has the id of another, or shows nothing", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, covered := taken[[2]int{x, y}]; covered {
					t.Fatalf("panel %d lies upon panel %d", p.ID, other)
				}
				taken[[2]int{x, y}] = p.ID
			}
		}
	}
	if len(board.Panels) < 20 {
		t.Errorf("%d panels", len(board.Panels))
	}
}
