package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"syscall"

	"kresd/internal/lualib/trust"
	"kresd/internal/wording"
)

// reason is what went wrong with a request, in LuaSocket's words where it has some.
func reason(err error) string {
	var (
		missing *net.DNSError
		slow    net.Error
		request *url.Error
	)
	switch unproven := trust.Reason(err); {
	case unproven != "":
		return unproven
	case errors.As(err, &missing) && missing.IsNotFound:
		return "host or service not provided, or not known"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, context.Canceled):
		return "closed"
	case errors.As(err, &request):
		return reason(request.Err)
	}
	return wording.Reason(err).Error()
}
