package blob

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/scheduler-store/scheduler-store/persistence"
)

const (
	cellKey   = "cell.json"
	logPrefix = "log/"
	// restorePrefix is where the states of restores lie, each in a folder with a
	// snapshot's name. Recovery does not look there.
	restorePrefix = "restore/"
)

// Key is an entry's object: log/<epoch, 10 digits>/<position, 20 digits>.
func Key(epoch persistence.Epoch, position persistence.Position) string {
	return fmt.Sprintf("%s%010d/%020d", logPrefix, epoch, position)
}

// epochPrefix is the key space of one epoch.
func epochPrefix(epoch persistence.Epoch) string { return fmt.Sprintf("%s%010d/", logPrefix, epoch) }

// parseKey is the inverse of Key.
func parseKey(key string) (persistence.Epoch, persistence.Position, error) {
	rest, ok := strings.CutPrefix(key, logPrefix)
	epochText, positionText, ok2 := strings.Cut(rest, "/")
	epoch, err1 := strconv.ParseUint(epochText, 10, 64)
	position, err2 := strconv.ParseUint(positionText, 10, 64)
	e, p := persistence.Epoch(epoch), persistence.Position(position)
	if !ok || !ok2 || err1 != nil || err2 != nil || Key(e, p) != key {
		return 0, 0, fmt.Errorf("%s is no log entry's key", key)
	}
	return e, p, nil
}
