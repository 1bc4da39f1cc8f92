package fs

// Recording is what was done to a folder, step by step.
type Recording struct {
	of    *Memory
	base  *Memory
	steps []step
}

// Record begins to record, from what is there now.
func (m *Memory) Record() *Recording {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record = &Recording{of: m, base: m.copy(true)}
	return m.record
}

// Len counts the steps.
func (r *Recording) Len() int {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	return len(r.steps)
}

// Step names one of them, of a folder that nobody uses any more.
func (r *Recording) Step(i int) (Op, string) { return r.steps[i].op, r.steps[i].name }

// At returns the folder as it was after so many steps, with what was not synced then.
func (r *Recording) At(n int) *Memory {
	r.base.mu.Lock()
	m := r.base.copy(true)
	r.base.mu.Unlock()
	for _, s := range r.steps[:n] {
		m.apply(s)
	}
	return m
}
