//! Asks the coordinator for the group's members. librdkafka does that for both protocols of groups, the classic one and
//! KIP-848's; rdkafka wraps only a request that knows the classic one.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;

use super::members::{Member, Members};

/// The members of `group`, or why they can't be had.
pub fn describe<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    patience: Duration,
) -> Result<Members, String> {
    let group = CString::new(group).map_err(|error| error.to_string())?;
    let answer = Answer::ask(client, &group, patience).ok_or("no answer in time")?;
    // SAFETY: the event lives as long as `answer`, and all that is read belongs to it; `members` copies.
    unsafe {
        let error = sys::rd_kafka_event_error(answer.0);
        if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(text(sys::rd_kafka_event_error_string(answer.0)));
        }
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(answer.0);
        if result.is_null() {
            return Err("an unexpected answer".to_owned());
        }
        let mut count = 0;
        let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        match count {
            0 => Ok(Members::default()),
            _ => members(*groups),
        }
    }
}

/// librdkafka's answer; given back on drop.
struct Answer(*mut sys::rd_kafka_event_t);

impl Answer {
    /// `None` when there is none in time.
    fn ask<C: ClientContext>(client: &Client<C>, group: &CStr, patience: Duration) -> Option<Self> {
        let client = client.native_ptr();
        let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        let mut groups = [group.as_ptr()];
        // SAFETY: the client lives as long as its reference. librdkafka copies the names and the options and takes its own
        // reference to the queue, so all three may go; an answer that comes too late ends with the queue.
        let event = unsafe {
            let options = sys::rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
            // Refused only beyond an hour; then librdkafka's minute serves.
            sys::rd_kafka_AdminOptions_set_request_timeout(options, patience, ptr::null_mut(), 0);
            let queue = sys::rd_kafka_queue_new(client);
            sys::rd_kafka_DescribeConsumerGroups(client, groups.as_mut_ptr(), 1, options, queue);
            let event = sys::rd_kafka_queue_poll(queue, patience);
            sys::rd_kafka_queue_destroy(queue);
            sys::rd_kafka_AdminOptions_destroy(options);
            event
        };
        (!event.is_null()).then_some(Self(event))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: polled from a queue, and nobody else has it.
        unsafe { sys::rd_kafka_event_destroy(self.0) }
    }
}

/// SAFETY: `group` is part of an answer that lives.
unsafe fn members(group: *const sys::rd_kafka_ConsumerGroupDescription_t) -> Result<Members, String> {
    unsafe {
        let error = sys::rd_kafka_ConsumerGroupDescription_error(group);
        let code = sys::rd_kafka_error_code(error);
        if !error.is_null() && code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(text(sys::rd_kafka_error_string(error)));
        }
        let state = sys::rd_kafka_ConsumerGroupDescription_state(group);
        let mut members = Members::new(text(sys::rd_kafka_consumer_group_state_name(state)));
        for number in 0..sys::rd_kafka_ConsumerGroupDescription_member_count(group) {
            let member = sys::rd_kafka_ConsumerGroupDescription_member(group, number);
            let described = Member {
                member_id: text(sys::rd_kafka_MemberDescription_consumer_id(member)),
                client_id: text(sys::rd_kafka_MemberDescription_client_id(member)),
                host: text(sys::rd_kafka_MemberDescription_host(member))
                    .trim_start_matches('/')
                    .to_owned(),
            };
            let assignment = sys::rd_kafka_MemberDescription_assignment(member);
            members.add(described, partitions(assignment));
        }
        Ok(members)
    }
}

/// SAFETY: `assignment` is null, or part of an answer that lives.
unsafe fn partitions(assignment: *const sys::rd_kafka_MemberAssignment_t) -> Vec<(String, i32)> {
    if assignment.is_null() {
        return Vec::new();
    }
    unsafe {
        let list = sys::rd_kafka_MemberAssignment_partitions(assignment);
        let Some(list) = list.as_ref().filter(|list| list.cnt > 0) else {
            return Vec::new();
        };
        let elements = std::slice::from_raw_parts(list.elems, usize::try_from(list.cnt).unwrap_or(0));
        elements
            .iter()
            .map(|element| (text(element.topic), element.partition))
            .collect()
    }
}

/// SAFETY: null, or a string that ends with a zero.
unsafe fn text(text: *const c_char) -> String {
    match text.is_null() {
        true => String::new(),
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    }
}
