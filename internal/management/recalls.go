package management

import (
	"slices"
	"time"

	"understudy"
)

// recall is what takes back the media tokens that a user was given. It holds from the end of
// this second on: tokens tell to the second when they were made.
func recall(user string, now time.Time) understudy.Change {
	return understudy.Change{Recall: &understudy.Recall{User: user, Before: now.Truncate(time.Second).Add(time.Second)}}
}

// recallWhere takes back the media tokens of all who have a grant that is about something of
// which less is granted from now on: of accounts, and of visitors in their sessions.
func (tx *change) recallWhere(about func(understudy.Grant) bool) ([]understudy.Change, error) {
	var users []string
	accounts, err := tx.Accounts()
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		if slices.ContainsFunc(a.User.Grants(), about) {
			users = append(users, a.User.Name)
		}
	}
	sessions, err := tx.Tokens(PurposeSession)
	if err != nil {
		return nil, err
	}
	for _, t := range sessions {
		if t.Visitor != nil && slices.ContainsFunc(t.Visitor.Grants, about) {
			users = append(users, t.User)
		}
	}
	slices.Sort(users)
	var changes []understudy.Change
	for _, user := range slices.Compact(users) {
		changes = append(changes, recall(user, tx.now))
	}
	return changes, nil
}

// lacks reports whether a list lacks something that another had.
func lacks[T comparable](now, before []T) bool {
	return slices.ContainsFunc(before, func(t T) bool { return !slices.Contains(now, t) })
}
