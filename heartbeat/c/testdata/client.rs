use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_void};

#[repr(C)]
struct Page {
    slots: *mut c_void,
    count: u32,
    next: u32,
}

#[repr(C)]
struct Activity {
    slot: *mut c_void,
}

extern "C" {
    fn vigil_attach(page: *mut Page) -> c_int;
    fn vigil_text(error: c_int) -> *const c_char;
    fn vigil_claim(page: *mut Page, activity: *mut Activity, name: *const c_char, timeout: u64) -> c_int;
    fn vigil_busy(activity: *mut Activity);
    fn vigil_beat(activity: *mut Activity);
}

fn main() {
    let mut page = Page { slots: std::ptr::null_mut(), count: 0, next: 0 };
    let mut activity = Activity { slot: std::ptr::null_mut() };
    unsafe {
        let mut error = vigil_attach(&mut page);
        if error == 0 {
            error = vigil_claim(&mut page, &mut activity, b"rust\0".as_ptr().cast(), 2_000_000_000);
        }
        if error != 0 {
            eprintln!("unwatched: {}", CStr::from_ptr(vigil_text(error)).to_string_lossy());
        }
        vigil_busy(&mut activity);
        vigil_beat(&mut activity);
    }
}
