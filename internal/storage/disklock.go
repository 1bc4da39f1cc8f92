package storage

import "sync"

// diskLock is a mutex that is held while a disk works, for seconds if that
// hangs. Its zero value is free. Who waits for it waits for a channel, so that
// tests in virtual time (testing/synctest) see a disk that hangs, which they do not
// where a goroutine waits for a sync.Mutex.
type diskLock struct {
	once sync.Once
	free chan struct{}
}

func (l *diskLock) Lock() {
	l.once.Do(func() { l.free = make(chan struct{}, 1) })
	l.free <- struct{}{}
}

func (l *diskLock) Unlock() { <-l.free }
