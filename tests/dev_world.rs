mod crash;
mod faults;
mod intercom;
mod support;
