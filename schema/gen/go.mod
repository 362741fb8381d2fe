module github.com/scheduler-store/scheduler-store/schema/gen

go 1.26.0

require github.com/cloudwego/thriftgo v0.4.1
