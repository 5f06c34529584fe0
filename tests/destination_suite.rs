//! Every promise of a destination, for every destination.
//!
//! A behaviour is one function over a destination with nothing in it. It is listed once below, and so is
//! each destination; what only holds for one of them has a module of its own.

mod duckdb;
mod families;
mod ledger;
mod merge;
mod parquet;
mod per_parent;
mod replace;
mod runs;
mod several;
mod stamps;
mod state;
mod tables;

use crate::support::tables::{InDuckDb, InMemory, InObjectStore, InParquet, InSmallFiles, Subject};

/// Makes the macro that lists every behaviour as a test of one destination.
macro_rules! behaviours {
    ($($idea:ident: $($behaviour:ident),+;)+) => {
        macro_rules! suite {
            ($destination:ident, $subject:ty) => {
                mod $destination {
                    $($(
                        #[test]
                        fn $behaviour() {
                            super::$idea::$behaviour(&mut <$subject as super::Subject>::fresh());
                        }
                    )+)+
                }
            };
        }
    };
}

behaviours! {
    tables:
        a_table_without_rows_has_every_column_with_its_type,
        several_tables_land_in_one_commit,
        schemas_are_told_apart_whatever_their_names_hold,
        nothing_is_found_where_nothing_was_written,
        thousands_of_rows_are_counted_exactly;
    merge:
        the_newer_the_equal_and_the_undated_row_wins,
        a_date_that_moved_backwards_heals_once_the_stored_row_is_old_enough,
        unchanged_rows_are_counted_and_not_rewritten,
        any_difference_is_a_change,
        one_row_per_key_is_left_of_a_commit,
        what_is_not_among_the_rows_stays,
        a_commit_without_rows_changes_nothing;
    replace:
        the_rows_of_a_pass_are_the_table,
        an_emptied_list_empties_the_table,
        keys_of_three_parts_may_hold_null,
        rows_of_a_part_of_the_pass_only_merge;
    per_parent:
        a_link_that_is_gone_disappears_and_those_of_others_stay,
        a_parent_without_links_loses_its_last_one,
        of_a_parent_that_comes_twice_the_newest_version_counts,
        a_parent_whose_stored_row_is_newer_keeps_its_links,
        a_list_that_is_not_whole_only_adds,
        links_of_parents_that_are_not_named_are_removed,
        equal_links_are_not_rewritten,
        a_link_that_a_parent_names_twice_is_one;
    families:
        links_go_with_their_parents,
        parts_are_stamped_with_their_parents,
        rows_inside_a_swapped_table_are_swapped,
        every_live_parent_is_named_once,
        a_family_lands_together_or_not_at_all;
    ledger:
        what_was_noted_is_read_back,
        without_a_state_nothing_that_was_noted_counts,
        the_last_word_about_a_parent_counts,
        notes_belong_to_a_schema_and_a_table,
        missing_parts_are_told_in_the_parents_row_whatever_came_first,
        what_is_told_of_parts_is_left_alone_by_later_rows_of_the_parent,
        what_was_noted_of_a_parent_that_is_gone_settles_nothing;
    stamps:
        rows_found_to_be_gone_are_stamped,
        a_stamped_row_keeps_its_first_stamp,
        a_row_seen_again_loses_its_stamp,
        live_keys_are_those_without_a_stamp,
        stamps_are_set_after_the_rows_of_the_same_commit,
        the_survivor_of_a_merge_is_named_until_the_row_is_seen_again;
    state:
        what_was_saved_is_loaded,
        states_belong_to_a_schema_and_a_table,
        a_commit_without_a_state_keeps_the_stored_one,
        a_state_that_somebody_else_changed_is_not_overwritten,
        a_commit_whose_answer_was_lost_cannot_be_repeated,
        an_error_in_the_middle_leaves_everything_as_it_was;
    runs:
        the_log_of_runs_keeps_everything_in_order;
}

suite!(in_memory, super::InMemory);
suite!(in_duckdb, super::InDuckDb);
suite!(in_parquet, super::InParquet);
suite!(in_small_parquet_files, super::InSmallFiles);
suite!(in_object_store, super::InObjectStore);
suite!(in_both, super::several::InBoth);
