package servertable

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Words of a Record.
const words = 10

// A Record is what is kept for one server.
type Record struct {
	// Priority decides which record makes room for that of another server: of the
	// places that the other may have, the one whose record has the least.
	Priority uint64
	Data     [words]uint64
}

// slot is the place of one record, two cache lines. The words are:
//
//	0      the turn: how many there were, twice, plus 1 while one lasts; below it when it began
//	1…3    the key (key.go)
//	4…14   the record
//	15     checksum of 1 to 14 and the epoch
type slot [slotWords]atomic.Uint64

const slotWords = 16

// image is words 1 to 14.
type image [slotWords - 2]uint64

func imageOf(k keyWords, r Record) (im image) {
	copy(im[:], k[:])
	im[len(k)] = r.Priority
	copy(im[len(k)+1:], r.Data[:])
	return im
}

func (im *image) record() (r Record) {
	r.Priority = im[3]
	copy(r.Data[:], im[4:])
	return r
}

// has tells whether the slot claims to be that of k.
func (s *slot) has(k keyWords) bool {
	return s[3].Load() == k[2] && s[2].Load() == k[1] && s[1].Load() == k[0]
}

// read copies the slot; ok is false when what it holds does not belong together,
// is of another epoch, or was never written.
func (s *slot) read(epoch uint64) (im image, ok bool) {
	for i := range im {
		im[i] = s[i+1].Load()
	}
	return im, im[2]&mark != 0 && s[slotWords-1].Load() == im.sum(epoch)
}

// sum is the checksum. It tells accidents; whoever may write the file
// may write anything.
func (im *image) sum(epoch uint64) uint64 {
	sum := epoch ^ 0x9e3779b97f4a7c15
	for i := 0; i < len(im); i += 2 { // two at a time: half the multiplications to wait for
		sum = bits.RotateLeft64(sum, 23) ^ mix(im[i]+sum, im[i+1])
	}
	return sum
}

// write stores an image, if nobody else had a turn since the first word was read
// as before.
func (s *slot) write(before uint64, now time.Duration, im *image, epoch uint64) bool {
	mine := begun(before, now)
	if !s[0].CompareAndSwap(before, mine) {
		return false
	}
	for i, w := range im {
		s[i+1].Store(w)
	}
	s[slotWords-1].Store(im.sum(epoch))
	s.finish(mine)
	return true
}

// finish ends the turn that began with the first word mine, unless somebody has taken
// it over: then the turn is that one's to end.
func (s *slot) finish(mine uint64) { s[0].CompareAndSwap(mine, mine+1<<32) }

// begun is the first word for a turn that begins now, when the first word was before.
// A turn that is taken over gets a number of its own, so that whoever began it can
// neither write nor end it any more.
func begun(before uint64, now time.Duration) uint64 {
	turn := before >> 32 &^ 1
	if taken(before) {
		turn += 2
	}
	return (turn+1)<<32 | uint64(stamp(now))
}

// unused tells by the first word of a slot that nobody ever had a turn there.
func unused(word uint64) bool { return word == 0 }

// taken tells whether a turn lasts.
func taken(word uint64) bool { return word>>32&1 != 0 }

// stamp is the time in milliseconds, as much of it as has room.
func stamp(now time.Duration) uint32 { return uint32(now.Milliseconds()) }

// since is how long ago a turn began. Clocks of processes differ a little: a turn that
// seems to begin within the next second begins now.
func since(word uint64, now time.Duration) time.Duration {
	d := int32(stamp(now) - uint32(word))
	if d < 0 && d > -1000 {
		d = 0
	}
	return time.Duration(uint32(d)) * time.Millisecond
}

// mix folds one more word into a sum, so that each bit of both counts.
func mix(sum, w uint64) uint64 {
	hi, lo := bits.Mul64(sum^0xa0761d6478bd642f, w^0xe7037ed1a0b428db)
	return hi ^ lo ^ bits.RotateLeft64(sum, 23)
}
