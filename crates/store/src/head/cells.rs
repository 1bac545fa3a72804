//! Cells by their numbers, which only rise: where series come and go, most numbers have nothing behind them any more, and take no room.

use super::Cell;

/// Cells of a page.
const PAGE: usize = 512;

/// All cells there are.
#[derive(Default)]
pub(super) struct Cells {
    pages: Vec<Option<Box<Page>>>,
}

struct Page {
    cells: [Option<Box<Cell>>; PAGE],
    used: usize,
}

impl Cells {
    /// The cell with a number.
    #[inline]
    pub fn get(&self, number: usize) -> Option<&Cell> {
        self.pages.get(number / PAGE)?.as_ref()?.cells[number % PAGE].as_deref()
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut Cell> {
        self.pages.get_mut(number / PAGE)?.as_mut()?.cells[number % PAGE].as_deref_mut()
    }

    /// The same, made where it is missing.
    pub fn get_or_make(&mut self, number: usize, make: impl FnOnce() -> Box<Cell>) -> &mut Cell {
        let at = number / PAGE;
        if self.pages.len() <= at {
            self.pages.resize_with(at + 1, || None);
        }
        let empty = || Box::new(Page { cells: [const { None }; PAGE], used: 0 });
        let page = self.pages[at].get_or_insert_with(empty);
        let cell = &mut page.cells[number % PAGE];
        page.used += usize::from(cell.is_none());
        cell.get_or_insert_with(make)
    }

    /// Gives the room of a cell back.
    pub fn remove(&mut self, number: usize) {
        let Some(slot) = self.pages.get_mut(number / PAGE) else { return };
        let Some(page) = slot else { return };
        page.used -= usize::from(page.cells[number % PAGE].take().is_some());
        if page.used == 0 {
            *slot = None;
        }
    }

    /// Each with its number, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Cell)> {
        let pages = self.pages.iter().enumerate().filter_map(|(at, page)| Some((at * PAGE, page.as_ref()?)));
        pages.flat_map(|(first, page)| (first..).zip(&page.cells).filter_map(|(number, cell)| Some((number, cell.as_deref()?))))
    }
}
