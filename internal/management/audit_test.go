package management_test

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	us "understudy"
)

// Events that were chained by an earlier version have the JSON that they had then, or
// their hashes would not be theirs any more. A field that is new must be left out while
// it is empty; testdata/events.jsonl is of the version that began to chain, and does not change.
func TestChainedEventsStayAsTheyWere(t *testing.T) {
	file, err := os.Open("testdata/events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	count := 0
	for lines.Scan() {
		count++
		var e us.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		now, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if string(now) != lines.Text() {
			t.Errorf("an event was written as\n%s\nand would be written now as\n%s", lines.Text(), now)
		}
	}
	if err := lines.Err(); err != nil || count < 5 {
		t.Fatalf("read %d events: %v", count, err)
	}
}
